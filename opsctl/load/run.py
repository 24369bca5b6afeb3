"""A load test from its plan to its judgement: a schedule, or the search for the capacity."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.errors import CheckFailed, NotUsable
from opsctl.load import capacity
from opsctl.load.driver import drive
from opsctl.load.live import watching
from opsctl.load.page import sheet
from opsctl.load.report import document, show
from opsctl.load.schedule import steady
from opsctl.output import data_console, talk_console, write_json, write_table
from opsctl.render import renderer

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from opsctl.load.driver import Plan
    from opsctl.load.limits import Promise
    from opsctl.load.record import Record
    from opsctl.output import Form
    from opsctl.settings import Settings


def run_schedule(plan: Plan, promise: Promise, settings: Settings, html: Path | None, form: Form) -> None:
    """Drive the plan, report it, and judge it.

    Raises:
        CheckFailed: the run was stopped, or a promise is broken.
        NotUsable: the page can't be written.
    """
    talk = talk_console(settings)
    talk.print(f"{plan.schedule.expected:.0f} requests in {plan.schedule.seconds:g} s ...")
    with watching(talk, plan) as watch:
        record = asyncio.run(drive(plan, watch))
    if form == "json":
        write_json(document(plan, record))
    else:
        show(data_console(settings), plan, record)
    if html is not None:
        _write_page(html, plan, record)
    broken = [*([record.stopped] if record.stopped else []), *promise.broken(record)]
    if broken:
        raise CheckFailed(
            "; ".join(broken),
            next_step="see above how the requests ended, and which stage took the time: /metrics, or the dashboard",
        )


@dataclass(frozen=True, slots=True)
class Search:
    """Where a search for the capacity begins, ends, and how long each rate is held; `replicas` share the load."""

    first_per_s: float
    highest_per_s: float
    step_s: float
    replicas: int


def run_search(plan: Plan, promise: Promise, search: Search, settings: Settings, form: Form) -> None:
    """Find the highest rate that keeps the promise, and say what follows from it; the spending cap is for all of it.

    Raises:
        CheckFailed: no rate keeps it, or the search was stopped before one did.
    """
    talk, spent = talk_console(settings), Decimal()

    def run(per_s: float) -> Record:
        nonlocal spent
        talk.print(f"{per_s:.1f} requests/s for {search.step_s:g} s ...")
        # evenly spaced: random arrivals break a tight promise by chance, below what the service can do
        schedule = steady(per_s, search.step_s, arrivals="even")
        record = asyncio.run(drive(replace(plan, schedule=schedule, limits=replace(plan.limits, spent_usd=spent))))
        spent += record.usd
        return record

    found = capacity.find(
        run, promise, first=search.first_per_s, highest=search.highest_per_s, replicas=search.replicas
    )
    if form == "json":
        write_json(capacity.document(found, promise))
    else:
        _show_steps(data_console(settings), found)
    if not found.per_s and found.stopped:
        raise CheckFailed(
            f"the search stopped before any rate had held: {found.stopped}",
            next_step="raise what ended it (--max-usd, --stop-at-errors), or hold each rate for less (--seconds)",
        )
    if not found.per_s:
        raise CheckFailed("no rate kept the promise", next_step="start lower (--rate), or promise less (--slo)")


def _show_steps(console: Console, found: capacity.Capacity) -> None:
    rows = [
        (
            f"{step.per_s:.1f}",
            f"{step.good_per_s:.1f}",
            f"{step.p95_ms:.0f} ms",
            step.verdict,
            step.stopped or "; ".join(step.broken),
        )
        for step in found.steps
    ]
    write_table(console, ("requests/s", "good/s", "p95", "", "why"), rows, right=(0, 1, 2))
    console.print()
    for line in capacity.advice(found):
        console.print(line)


def _write_page(file: Path, plan: Plan, record: Record) -> None:
    try:
        file.write_text(renderer("html")(sheet(plan, record)), encoding="utf-8")
    except OSError as exc:
        raise NotUsable(f"--html {file}: {exc.strerror}", next_step="give a file that can be written") from exc
