"""`opsctl endpoint logs`: what the model's container says."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, Finite, output_option
from opsctl.endpoint.names import Names
from opsctl.endpoint.open import open_stack
from opsctl.follow import lines
from opsctl.output import talk_console
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("logs")
@click.argument("name", required=False)
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that owns the endpoint.")
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--since", "minutes", type=Finite(min=0), default=60, show_default=True, help="Minutes ago.")
@output_option
def logs(*, name: str | None, stack: str, follow: bool, minutes: float, form: Form) -> None:
    """Print the log lines of the model's containers, of endpoint NAME.

    With --output json each line is a JSON document of its own.

    \b
    Example:
      opsctl endpoint logs --stack prod --follow
    """  # noqa: D301 - click reads \b
    from opsctl.aws.endpoint import LOG_GROUPS  # noqa: PLC0415 - boto3 is paid when it is needed
    from opsctl.aws.logs import LogGroup  # noqa: PLC0415

    settings = environment.load()
    target = open_stack(find_project(), stack, settings.environ)
    names = Names(name or target.cfg.generation.endpoint)
    # Of the config, not of what runs: a first deployment that hangs has no release yet, and its lines are wanted most.
    sleeps = target.cfg.generation.scaling.min == 0
    group = LOG_GROUPS["component"] + names.component if sleeps else LOG_GROUPS["endpoint"] + names.endpoint
    found = False
    try:
        start_ms = int((time.time() - minutes * 60) * 1000)
        for line in lines(LogGroup(target.region, group), start_ms, follow=follow):
            found = True
            document = {"at": line.at, "stream": line.stream, "text": line.text.rstrip()}
            click.echo(
                json.dumps(document, ensure_ascii=False) if form == "json" else f"{line.at} {line.text.rstrip()}"
            )
    except KeyboardInterrupt:
        if not follow:
            raise
    if not found:
        talk_console(settings).print(f"no lines in {group} since then; a container that never started writes none")
