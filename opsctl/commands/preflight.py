"""`opsctl preflight`: what would stop a deployment, before anything is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.output import data_console, talk_console, working, write_json
from opsctl.preflight.check import document, refuse_failed, show
from opsctl.project import find_project
from opsctl.stack_config import read_stack_config

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("preflight")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that is to be deployed.")
@output_option
def preflight(*, stack: str, form: Form) -> None:
    """Check credentials, quotas, image, secrets, name, model endpoint, cost and policy of a stack.

    Changes nothing and costs nothing; which checks there are depends on the phase. Ends with 1 if one fails; what
    could not be asked is unknown, and no failure.

    \b
    Example:
      opsctl preflight --stack prod --output json
    """  # noqa: D301 - click reads \b
    from opsctl.preflight.judge import judge  # noqa: PLC0415 - Pulumi and its AWS modules: help must not wait for them
    from opsctl.preflight.observe import Observer  # noqa: PLC0415

    settings, project = environment.load(), find_project()
    cfg = read_stack_config(project, stack)
    with working(talk_console(settings), f"checking stack {stack} ..."):
        checks = judge(cfg, Observer(project, cfg, settings.environ).facts())
    if form == "json":
        write_json({"version": 1, "stack": stack, "checks": document(checks)})
    else:
        show(data_console(settings), checks)
    refuse_failed(checks)
