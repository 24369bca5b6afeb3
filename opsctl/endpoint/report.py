"""What a run on an endpoint reports, for a reader and for a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.endpoint.steps import changes, told
from opsctl.output import data_console, write_json, write_table

if TYPE_CHECKING:
    from opsctl.endpoint.run import Report
    from opsctl.output import Form
    from opsctl.settings import Settings


def hand_over(report: Report, form: Form, settings: Settings) -> None:
    """Write the report to stdout, then raise its error, if it has one."""
    if form == "json":
        write_json(document(report))
    else:
        rows = [("drift", str(each)) for each in report.drift]
        for step in report.steps:
            rows += [("step", told(step)), *(("", f"  {change}") for change in changes(step))]
        write_table(data_console(settings), (f"endpoint {report.endpoint}", outcome(report)), rows)
    if report.error is not None:
        raise report.error


def document(report: Report) -> dict[str, object]:
    """Spell the report as JSON; a public contract, version 1."""
    return {
        "version": 1,
        "stack": report.stack,
        "endpoint": report.endpoint,
        "ok": report.error is None,
        "outcome": outcome(report),
        "dryRun": report.dry_run,
        "changed": report.changed,
        "pendingSteps": report.pending,
        "drift": [str(each) for each in report.drift],
        "steps": [
            {"action": step.verb, "kind": step.key[0], "name": step.key[1], "changes": changes(step)}
            for step in report.steps
        ],
        "problem": None if report.error is None else str(report.error),
    }


def outcome(report: Report) -> str:
    """How it ended, in a few words."""
    if report.error is not None:
        return "failed"
    if not report.steps:
        return "nothing to do"
    if report.dry_run:
        return f"would take {len(report.steps)} steps"
    if report.pending:
        return f"{report.pending} steps left: run the same command again"
    return "done"
