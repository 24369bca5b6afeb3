"""The highest rate at which a service keeps its promise: doubled until it breaks, then halved in between. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

from opsctl.load.outcome import GOOD

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.load.limits import Promise
    from opsctl.load.record import Record

CLOSE = 1.1  # the rate that holds and the one that doesn't are this near in the end
HEADROOM = 0.7  # a replica more takes a minute to come: the ones there are must not be full when it is asked for
MOST_STEPS = 14


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, and what became of it: held, `broken`, or `stopped` before that was known."""

    per_s: float
    good_per_s: float
    p95_ms: float
    broken: tuple[str, ...]
    stopped: str | None = None

    @property
    def verdict(self) -> str:
        """In a word."""
        return "stopped" if self.stopped else "failed" if self.broken else "ok"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What was found.

    Attributes:
        per_s: the highest rate that held; 0 where none did.
        bounded: whether a higher one was seen to break.
        replicas: that shared it.
        stopped: why the search ended early, where it did.
    """

    per_s: float
    bounded: bool
    replicas: int
    steps: tuple[Step, ...]
    stopped: str | None = None

    @property
    def per_replica(self) -> float:
        """Requests per second."""
        return self.per_s / self.replicas

    @property
    def requests_per_minute(self) -> int:
        """What `scaling.requestsPerMinute` should be for it: a part of a replica's capacity."""
        return max(1, floor(self.per_replica * 60 * HEADROOM)) if self.per_s else 0


def find(run: Callable[[float], Record], promise: Promise, *, first: float, highest: float, replicas: int) -> Capacity:
    """Search between `first` and `highest` requests per second; `run` drives one rate.

    What stops a run for another reason than a broken promise - the spending cap - stops the search, and its rate counts
    neither as held nor as broken: the requests that were not sent say nothing.
    """
    steps: list[Step] = []
    held, broke, rate = 0.0, None, first
    while len(steps) < MOST_STEPS:
        record = run(rate)
        step = _step(rate, record, promise)
        steps.append(step)
        if step.stopped:
            return Capacity(held, broke is not None, replicas, tuple(steps), step.stopped)
        held, broke = (held, rate) if step.broken else (rate, broke)
        if rate >= highest and not step.broken:
            break
        if broke is not None and (broke <= max(held, first / 8) * CLOSE or (not held and broke <= first / 8)):
            break
        rate = min(highest, rate * 2) if broke is None else (held + broke) / 2
    return Capacity(held, broke is not None, replicas, tuple(steps))


def _step(rate: float, record: Record, promise: Promise) -> Step:
    broken = () if record.spent_out else tuple(promise.broken(record))
    good = record.total.of(GOOD)
    good_per_s = good.count / record.wall_s if record.wall_s else 0.0
    return Step(rate, good_per_s, good.percentile_ms(95), broken, None if broken else record.stopped)


def document(found: Capacity, promise: Promise) -> dict[str, object]:
    """As JSON; a public contract, version 1."""
    return {
        "version": 1,
        "requestsPerSecond": round(found.per_s, 3),
        "bounded": found.bounded,
        "replicas": found.replicas,
        "requestsPerSecondPerReplica": round(found.per_replica, 3),
        "promise": {"p95Seconds": promise.p95_s, "errorBudgetPercent": promise.failed_percent},
        "scaling": {"requestsPerMinute": found.requests_per_minute},
        "stopped": found.stopped,
        "steps": [
            {
                "perSecond": round(step.per_s, 3),
                "goodPerSecond": round(step.good_per_s, 3),
                "p95Ms": round(step.p95_ms, 1),
                "broken": list(step.broken),
                "stopped": step.stopped,
            }
            for step in found.steps
        ],
    }


def advice(found: Capacity) -> list[str]:
    """What follows, as lines to read and commands to type."""
    if not found.per_s and found.stopped:
        return [f"the search stopped before any rate had held: {found.stopped}"]
    if not found.per_s:
        return ["no rate kept the promise: start lower (--rate), or promise less (--slo, --error-budget)"]
    seen = "" if found.bounded else "at least "
    lines = [
        (
            f"{seen}{found.per_s:.1f} requests/s keep the promise, {seen}{found.per_replica:.1f} on each of "
            f"{found.replicas} replicas"
        )
    ]
    if found.stopped:
        lines.append(f"the search stopped early: {found.stopped}")
    per_minute = found.requests_per_minute
    lines.append(
        f"scale out at {HEADROOM:.0%} of that: pulumi config set --path scaling.requestsPerMinute {per_minute}"
    )
    figure = f"requests_per_minute_per_replica={floor(found.per_replica * 60)}"
    lines.append(f"check the cost at it: opsctl cost-report --sweep queries_per_month=1e3..1e7 --set {figure}")
    return lines
