"""L2 and L3: twice the capacity for a minute, ten times for a moment."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from figures import Figure

from load.stack import drive_all, plan, watched
from opsctl.load.outcome import GOOD, REFUSED
from opsctl.load.schedule import Phase, Schedule, steady

if TYPE_CHECKING:
    from collections.abc import Mapping

    from load.stack import Service
    from opsctl.load.record import Record, Tally

SUSTAINED_S = 60.0
DRIVER_LAG_MS = 25.0  # half of what a refusal may take
CALM_S, BURST_S, AFTER_S = 15, 5, 30
NORMAL = 1.2  # a second whose p95 is at most this times that of the calm before is normal again
IN_A_ROW = 2


def sustained(loaded: Service, held: float) -> list[Figure]:
    """2 x C: the service goes on answering what it can, and refuses the rest at once."""
    record = drive_all(plan(loaded, steady(2 * held, SUSTAINED_S, arrivals="even")))[0]
    good, refused = record.total.count(GOOD), record.total.of(REFUSED)
    lost = record.total.count() - good - refused.count
    return [
        Figure("L2 goodput at 2 x C / C", good / SUSTAINED_S / held, "x", at_least=0.8),
        Figure("L2 refusals, p99", refused.percentile_ms(99), "ms", at_most=50),
        Figure("L2 neither answered nor refused in whole", lost, "requests", at_most=0),
        Figure("L2 refused", refused.count, "requests"),
        # Latency counts from the intended start: where the driver was late, the figures above are the driver's.
        Figure("L2 the driver's own lag, p99", record.lag.percentile_ms(99), "ms", at_most=DRIVER_LAG_MS),
    ]


def burst(loaded: Service, held: float) -> list[Figure]:
    """10 x C for 5 s between stretches of half C: how soon it is as before, in time and in memory."""
    phases = (
        Phase(name="calm", per_s=held / 2, seconds=CALM_S),
        Phase(name="burst", per_s=10 * held, seconds=BURST_S),
        Phase(name="after", per_s=held / 2, seconds=AFTER_S),
    )
    with watched(loaded.process) as usage:
        record = drive_all(plan(loaded, Schedule(phases=phases, arrivals="even")))[0]
    before, after = median(usage.rss_mib[:CALM_S]), median(usage.rss_mib[-CALM_S:])
    return [
        Figure("L3 normal p95 again after 10 x C", _recovery_s(record), "s", at_most=5),
        Figure("L3 memory after the burst / before", after / before, "x", at_most=1.1),
        Figure("L3 answered during the burst", _count(record.windows, CALM_S, CALM_S + BURST_S), "requests"),
    ]


def _recovery_s(record: Record) -> float:
    """Seconds from the burst's end to the first of two normal ones; all that there are where none is."""
    calm_ms = median(record.windows[second].of(GOOD).percentile_ms(95) for second in range(1, CALM_S))
    begins = CALM_S + BURST_S
    normal = 0
    for second in range(begins, begins + AFTER_S):
        normal = normal + 1 if _is_normal(record.windows[second], NORMAL * calm_ms) else 0
        if normal == IN_A_ROW:
            return float(second + 1 - IN_A_ROW - begins)
    return float(AFTER_S)


def _is_normal(window: Tally, most_ms: float) -> bool:
    return window.count() == window.count(GOOD) and window.of(GOOD).percentile_ms(95) <= most_ms


def _count(windows: Mapping[int, Tally], start: int, end: int) -> int:
    return sum(windows[second].count(GOOD) for second in range(start, end) if second in windows)
