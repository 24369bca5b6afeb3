"""What a run does while it does it: a table that renews itself on a terminal, a line now and then in a pipe."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table

from opsctl.load.outcome import GOOD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from opsctl.load.driver import Plan
    from opsctl.load.record import Record

RECENT_S = 5.0
LINE_EVERY = 10  # looks, so seconds


@contextmanager
def watching(talk: Console, plan: Plan) -> Iterator[Callable[[Record], None]]:
    """What `drive` shows its record to."""
    if not talk.is_terminal:
        yield _in_lines(talk, plan)
        return
    with Live(console=talk, transient=True, auto_refresh=False) as live:
        yield lambda record: live.update(_table(plan, record), refresh=True)


def _in_lines(talk: Console, plan: Plan) -> Callable[[Record], None]:
    looks = 0

    def line(record: Record) -> None:
        nonlocal looks
        looks += 1
        if looks % LINE_EVERY == 0:
            talk.print("; ".join(f"{name} {value}" for name, value in _now(plan, record)))

    return line


def _table(plan: Plan, record: Record) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for row in _now(plan, record):
        table.add_row(*row)
    return table


def _now(plan: Plan, record: Record) -> list[tuple[str, str]]:
    recent = record.latest(RECENT_S)
    ended, good = sum(tally.count() for tally in recent), sum(tally.count(GOOD) for tally in recent)
    latencies = [tally.of(GOOD) for tally in recent]
    p95_ms = latencies[0].merge(latencies[1:]).percentile_ms(95) if latencies else 0.0
    return [
        ("time", f"{record.wall_s:.0f} of {plan.schedule.seconds:.0f} s"),
        ("requests", f"{record.total.count()} of {plan.schedule.expected:.0f}"),
        (f"last {RECENT_S:g} s", f"{good} good, {ended - good} not, p95 {p95_ms:.0f} ms"),
        ("failed", str(record.total.count() - record.total.count(GOOD))),
        ("cost", f"{record.usd:.4f} USD"),
    ]
