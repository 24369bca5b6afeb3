"""`opsctl doctor`: what this machine lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import output_option
from opsctl.doctor.checks import examine
from opsctl.doctor.machine import look
from opsctl.doctor.stack_file import local_listens
from opsctl.errors import CheckFailed
from opsctl.output import data_console, write_json, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.doctor.checks import Finding
    from opsctl.output import Form


@click.command("doctor")
@output_option
def doctor(*, form: Form) -> None:
    """Say what this machine lacks for `make up` and `make test`, and the command that fixes it.

    Ends with 1 if something required is missing. Calls no cloud and changes nothing.

    \b
    Example:
      opsctl doctor --output json
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    project = find_project()
    findings = examine(look(project, *local_listens(project), settings.environ))
    missing = [finding.name for finding in findings if finding.required and not finding.ok]
    if form == "json":
        write_json({"version": 1, "ok": not missing, "findings": [_spelled(finding) for finding in findings]})
    else:
        rows = [(finding.name, _state(finding), finding.found, finding.fix or "") for finding in findings]
        write_table(data_console(settings), ("need", "", "found", "fix"), rows)
    if missing:
        raise CheckFailed(f"this machine lacks {', '.join(missing)}", next_step="run the fixes above")


def _state(finding: Finding) -> str:
    if finding.ok:
        return "ok"
    return "missing" if finding.required else "optional"


def _spelled(finding: Finding) -> dict[str, object]:
    return {
        "name": finding.name,
        "status": _state(finding),
        "required": finding.required,
        "found": finding.found,
        "fix": finding.fix,
    }
