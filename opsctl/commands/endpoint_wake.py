"""`opsctl endpoint wake`: a copy before the first request, not after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, Finite, output_option
from opsctl.endpoint.copies import wake as wake_copy
from opsctl.endpoint.execute import Pace
from opsctl.endpoint.open import open_stack
from opsctl.endpoint.progress import watching
from opsctl.endpoint.served import component_of, served
from opsctl.output import data_console, talk_console, write_json
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("wake")
@click.argument("name", required=False)
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that owns the endpoint.")
@click.option("--wait/--no-wait", default=True, help="Wait until it answers (the default).")
@click.option("--timeout", "limit_s", type=Finite(1), default=1800, show_default=True, help="Seconds.")
@output_option
def wake(*, name: str | None, stack: str, wait: bool, limit_s: float, form: Form) -> None:
    """Start a copy of the sleeping endpoint NAME; one that never sleeps is left alone.

    It takes about five minutes, is paid from the start, and is scaled in again when nobody asks.

    \b
    Example:
      opsctl endpoint wake --stack dev
    """  # noqa: D301 - click reads \b
    from opsctl.aws.components import ComponentAtAws  # noqa: PLC0415 - boto3 is paid when it is needed

    settings = environment.load()
    spec = served(open_stack(find_project(), stack, settings.environ), name)
    component, woken = component_of(spec), False
    if component is not None:
        with watching(talk_console(settings)) as watch:
            woken = wake_copy(ComponentAtAws.open(spec.region, component), watch, Pace(limit_s, wait=wait))
    if form == "json":
        head = {"version": 1, "stack": stack, "endpoint": spec.endpoint}
        write_json({**head, "sleeps": component is not None, "woken": woken, "waited": wait})
    else:
        said = "woken" if woken and wait else "waking" if woken else "awake already"
        data_console(settings).print(f"endpoint {spec.endpoint}: {said}")
