"""A smoke test's report, for a reader and for a program."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, cast

from opsctl.output import write_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from opsctl.smoke.run import Report

ANSWER_CHARS = 400


def document(report: Report) -> dict[str, object]:
    """Spell the report as JSON; a public contract, version 1."""
    return {
        "version": 1,
        "stack": report.target.stack,
        "url": report.target.url,
        "ok": not report.failed,
        "checks": [
            {
                "name": outcome.name,
                "status": outcome.status,
                "elapsedMs": round(outcome.elapsed_ms, 1),
                "summary": outcome.summary,
                "evidence": dict(outcome.facts),
            }
            for outcome in report.outcomes
        ],
    }


def show(console: Console, report: Report) -> None:
    """Print one line per check, then the question, the answer and its first source."""
    rows = [(outcome.name, outcome.status, _time(outcome.elapsed_ms), outcome.summary) for outcome in report.outcomes]
    write_table(console, (f"{report.target.url}", "", "time", "evidence"), rows)
    for outcome in report.outcomes:
        if "answer" in outcome.facts:
            _show_answer(console, outcome.facts)


def _show_answer(console: Console, facts: Mapping[str, object]) -> None:
    first = cast("Sequence[Mapping[str, object]]", facts["sources"])[0]
    console.print()
    console.print(f"question  {facts['question']}")
    console.print(f"answer    {shorten(str(facts['answer']), ANSWER_CHARS, placeholder=' ...')}")
    console.print(f"source 1  {first['title']} ({first['collection']}, score {first['score']:.2f}) {first['url']}")


def _time(elapsed_ms: float) -> str:
    return f"{elapsed_ms:.0f} ms" if elapsed_ms < 1000 else f"{elapsed_ms / 1000:.1f} s"  # noqa: PLR2004 - a second
