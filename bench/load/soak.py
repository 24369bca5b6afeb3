"""L4: a long run below the capacity, with random arrivals: nothing grows."""

from __future__ import annotations

from statistics import linear_regression, median
from typing import TYPE_CHECKING

from figures import Figure

from load.stack import drive_all, plan, watched
from opsctl.load.outcome import GOOD
from opsctl.load.schedule import steady

if TYPE_CHECKING:
    from load.stack import Service

SHARE = 0.7
WARM_UP = 0.2  # of the run: pools and arenas fill once


def soak(loaded: Service, held: float, *, minutes: float) -> list[Figure]:
    with watched(loaded.process) as usage:
        record = drive_all(plan(loaded, steady(SHARE * held, 60 * minutes)))[0]
    begin = int(len(usage.at_s) * WARM_UP)
    slope = linear_regression(usage.at_s[begin:], usage.rss_mib[begin:]).slope * 60
    return [
        Figure(f"L4 memory over {minutes:g} min at 0.7 x C", slope, "MiB/min", at_most=1),
        Figure("L4 descriptors, last fifth - second", _drift(usage.descriptors), "", at_most=2),
        Figure("L4 threads, last fifth - second", _drift(usage.threads), "", at_most=0),
        Figure("L4 answered", record.total.count(GOOD) / record.total.count() * 100, "%"),
        Figure("L4 p95", record.total.of(GOOD).percentile_ms(95), "ms"),
    ]


def _drift(counts: list[int]) -> float:
    fifth = max(1, len(counts) // 5)
    return median(counts[-fifth:]) - median(counts[fifth : 2 * fifth])
