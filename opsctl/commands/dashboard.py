"""`opsctl dashboard`: where to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.errors import NotDeployed

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("dashboard")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that is looked at.")
@click.option("--open", "opened", is_flag=True, help="Open it in the browser as well.")
@output_option
def dashboard(*, stack: str, opened: bool, form: Form) -> None:
    """Print the addresses of the stack's dashboard, of its log and, where it is configured, of Opik.

    \b
    Example:
      opsctl dashboard --stack prod --open
    """  # noqa: D301 - click reads \b
    from opsctl.links import links  # noqa: PLC0415
    from opsctl.output import data_console, write_json, write_table  # noqa: PLC0415
    from opsctl.project import find_project  # noqa: PLC0415
    from opsctl.stack import read_delivery  # noqa: PLC0415
    from opsctl.stack_config import read_stack_config  # noqa: PLC0415

    settings, project = environment.load(), find_project()
    found = links(read_delivery(project, stack, settings.environ), read_stack_config(project, stack), stack)
    if not found:
        raise NotDeployed(
            f"stack '{stack}' has no dashboard", next_step="a local edge is watched by `make watch`, or in Grafana"
        )
    if opened:
        click.launch(next(iter(found.values())))
    if form == "json":
        write_json({"version": 1, "stack": stack, "links": found})
    else:
        write_table(data_console(settings), ("what", "where"), list(found.items()))
