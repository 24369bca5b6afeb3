"""A deployment's report, for a reader and for a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.output import data_console, write_json, write_table
from opsctl.preflight import check
from opsctl.smoke import report as smoke_report

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console

    from opsctl.deploy.engine import Changes
    from opsctl.deploy.outcome import Report
    from opsctl.deploy.price import Price
    from opsctl.deploy.verdict import Running
    from opsctl.output import Form
    from opsctl.settings import Settings


def hand_over(report: Report, form: Form, settings: Settings) -> None:
    """Write the report to stdout, then raise its error, if it has one."""
    if form == "json":
        write_json(document(report))
    elif report.error is None or report.begun:
        show(data_console(settings), report)
    if report.error is not None:
        raise report.error


def document(report: Report) -> dict[str, object]:
    """Spell the report as JSON; a public contract, version 1."""
    return {
        "version": 1,
        "stack": report.stack,
        "topology": report.topology,
        "ok": report.error is None,
        "changes": report.changes,
        "release": None if report.wanted is None else report.wanted.model_dump(by_alias=True),
        "running": None if report.running is None else _running(report.running),
        "verdict": None if report.verdict is None else {"status": report.verdict.status, "why": report.verdict.why},
        "smokeTest": None if report.smoke is None else smoke_report.document(report.smoke),
        "preflight": check.document(report.checks),
        "monthlyUsd": None if report.price is None else _price(report.price),
        "wayBack": None if report.way_back is None else document(report.way_back),
        "problem": None if report.error is None else str(report.error),
    }


def show(console: Console, report: Report) -> None:
    """Print what changed, what runs, and the smoke test."""
    rows = [("changes", spelled(report.changes) or "none")]
    if report.verdict is not None:
        rows.append((report.verdict.status, report.verdict.why))
    write_table(console, (f"stack {report.stack}", ""), rows)
    if report.smoke is not None:
        console.print()
        smoke_report.show(console, report.smoke)
    if report.way_back is not None:
        console.print()
        show(console, report.way_back)


def spelled(changes: Changes) -> str:
    """The changes in a few words, most telling first."""
    order = ("delete", "replace", "update", "create")
    ranked = sorted(changes.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
    return ", ".join(f"{count} to {operation}" for operation, count in ranked)


def _price(price: Price) -> dict[str, object]:
    def spelled_out(usd: Decimal | None) -> str | None:
        return None if usd is None else f"{usd:.2f}"

    return {"before": spelled_out(price.before), "after": spelled_out(price.after), "unknown": price.why}


def _running(running: Running) -> dict[str, object]:
    return {
        "revision": running.revision,
        "images": list(running.images),
        "state": running.state,
        "reason": running.reason,
        "wantedReplicas": running.wanted_replicas,
        "readyReplicas": running.ready_replicas,
    }
