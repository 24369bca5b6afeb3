"""Sliding windows: how much of a limit was used lately. One arithmetic for requests a minute and money an hour.

A window is 60 buckets of equal length and the one that is running, so at no time does more than the limit fall into
the span; what is refused is not counted. Amounts are whole numbers: requests, or billionths of a dollar.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.errors import StageUnavailable
from service.resilience import Breaker

BUCKETS = 60
MOST_WINDOWS = 10_000  # kept by one process; the least recently used goes first


@dataclass(frozen=True, slots=True)
class Window:
    """Whose, over which span, and how much fits."""

    key: str
    span_s: float
    limit: int

    @property
    def bucket_s(self) -> float:
        """Length of a bucket."""
        return self.span_s / BUCKETS


@dataclass(frozen=True, slots=True)
class Taken:
    """What `take` decided: whether it fits, else when it will; `bucket` is where it was counted, and `by` whom."""

    fits: bool
    wait_s: float
    bucket: int
    by: Counts


class Windows(Protocol):
    """Counts what is taken."""

    async def take(self, window: Window, amount: int) -> Taken:
        """Count `amount` where it fits, in one step with the check, however many ask at once."""
        ...


class Counts(Protocol):
    """Where something was counted."""

    async def correct(self, window: Window, bucket: int, by: int) -> None:
        """Change what an earlier `take` counted in its bucket."""
        ...


class LocalWindows:
    """Of this process alone; on the monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, dict[int, int]] = OrderedDict()

    async def take(self, window: Window, amount: int) -> Taken:
        """Nothing is awaited between the check and the count."""
        now = self._clock()
        current = int(now // window.bucket_s)
        known = self._kept.get(window.key, {})
        used = {bucket: count for bucket, count in known.items() if bucket >= current - BUCKETS}
        excess = sum(used.values()) + amount - window.limit
        if excess > 0:
            return Taken(fits=False, wait_s=_free_at(used, excess, current, window) - now, bucket=current, by=self)
        used[current] = used.get(current, 0) + amount
        self._keep(window.key, used)
        return Taken(fits=True, wait_s=0.0, bucket=current, by=self)

    async def correct(self, window: Window, bucket: int, by: int) -> None:
        """Nothing, where the bucket is forgotten by now."""
        used = self._kept.get(window.key, {})
        if bucket in used:
            used[bucket] += by

    def _keep(self, key: str, used: dict[int, int]) -> None:
        self._kept[key] = used
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_WINDOWS:
            self._kept.popitem(last=False)


def _free_at(used: dict[int, int], excess: int, current: int, window: Window) -> float:
    """When so many old buckets have left the window that `excess` fits; a whole span on where it never does."""
    last = current
    for bucket in sorted(used):
        excess -= used[bucket]
        last = bucket
        if excess <= 0:
            break
    return (last + BUCKETS + 1) * window.bucket_s


@dataclass(frozen=True, slots=True)
class SharedWindows:
    """Those that all processes share; while they can't be reached, each process counts for itself."""

    shared: Windows
    local: Windows
    breaker: Breaker

    async def take(self, window: Window, amount: int) -> Taken:
        """Never unlimited: an outage makes the limit one per process."""
        try:
            with self.breaker.watching():
                return await self.shared.take(window, amount)
        except StageUnavailable:
            return await self.local.take(window, amount)
