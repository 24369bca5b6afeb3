"""`opsctl status`: one screen about a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.output import data_console, talk_console, working, write_json
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("status")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that is looked at.")
@output_option
def status(*, stack: str, form: Form) -> None:
    """Say what runs, what it depends on, what rings, what it costs now, and what was done last.

    Changes nothing. Ends with 1 where something is not as the stack promises; what could not be asked is unknown, and
    no failure.

    \b
    Example:
      opsctl status --stack prod
    """  # noqa: D301 - click reads \b
    from opsctl.errors import CheckFailed  # noqa: PLC0415
    from opsctl.preflight.check import document, show  # noqa: PLC0415
    from opsctl.status import Status  # noqa: PLC0415 - the engine's SDK: help must not wait for it

    settings, project = environment.load(), find_project()
    with working(talk_console(settings), f"asking about stack {stack} ..."):
        checks = list(Status(project, stack, settings.environ).checks())
    if form == "json":
        write_json({"version": 1, "stack": stack, "checks": document(checks)})
    else:
        show(data_console(settings), checks)
    if failed := [each for each in checks if each.status == "failed"]:
        raise CheckFailed(
            f"stack '{stack}': {', '.join(each.name for each in failed)} not as promised",
            next_step=str(failed[0].fix),
        )
