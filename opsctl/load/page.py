"""A run as one self-contained page with plots: answers and failures over time, and latencies over time."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.load.outcome import GOOD
from opsctl.load.report import PERCENTILES, document, remarks
from opsctl.sheet import Column, Curves, Sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.load.driver import Plan
    from opsctl.load.record import Record, Tally

SHOWN = (50.0, 95.0, 99.0)


def sheet(plan: Plan, record: Record) -> Sheet:
    """The run as a sheet: a row per outcome, the plots, and what qualifies them."""
    columns = (Column("outcome"), Column("requests", figures=True), *(Column(p, figures=True) for p in PERCENTILES))
    rows = tuple(
        (str(outcome), f"{seen.count:,}", *(f"{seen.percentile_ms(p):,.0f} ms" for p in PERCENTILES.values()))
        for outcome, seen in sorted(record.total.latencies.items())
    )
    return Sheet(
        title=f"Load test of {plan.target.url}{plan.asking.path}",
        columns=columns,
        rows=rows,
        sums=(),
        notes=tuple(remarks(record)),
        document=document(plan, record),
        charts=(_rates(record), _latencies(record)),
    )


def _rates(record: Record) -> Curves:
    def per_s(count: Callable[[Tally], int]) -> Callable[[Tally], float]:
        return lambda tally: count(tally) / record.window_s

    lines = {
        "good answers": per_s(lambda tally: tally.count(GOOD)),
        "the rest": per_s(lambda tally: tally.count() - tally.count(GOOD)),
    }
    return _over_time("Requests per second, by when they were meant to start", record, lines)


def _latencies(record: Record) -> Curves:
    def at(percentile: float) -> Callable[[Tally], float]:
        return lambda tally: tally.of(GOOD).percentile_ms(percentile)

    return _over_time("Latency of good answers from the intended start, ms", record, {f"p{p:g}": at(p) for p in SHOWN})


def _over_time(title: str, record: Record, lines: dict[str, Callable[[Tally], float]]) -> Curves:
    windows = sorted(record.windows.items())
    return Curves(
        title=title,
        x_label="seconds",
        lines={
            name: tuple(
                (Decimal(str(number * record.window_s)), Decimal(str(value(tally)))) for number, tally in windows
            )
            for name, value in lines.items()
        },
        logarithmic=False,
    )
