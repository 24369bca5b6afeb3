"""Time limits as values: one deadline per request, handed down; every wait is capped by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from service.errors import DeadlineExceeded, StageUnavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a request's time, on the monotonic clock (a jump of the wall clock moves nothing)."""

    total_s: float
    started: float = field(default_factory=time.monotonic)

    def remaining_s(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.started + self.total_s - time.monotonic())

    def cap(self, limit_s: float) -> float:
        """`limit_s`, or what is left where that is less."""
        return min(limit_s, self.remaining_s())

    def leaving(self, share: float) -> Deadline:
        """The same with an earlier end: `share` of the time that is left is kept for who comes after."""
        return Deadline(self.total_s - share * self.remaining_s(), self.started)


async def within(deadline: Deadline, work: Awaitable[T], *, stage: str, limit_s: float | None = None) -> T:
    """Await `work` for at most `limit_s` seconds and never beyond the deadline.

    Raises:
        DeadlineExceeded: the request's own time ran out.
        StageUnavailable: the stage's limit ran out first.
    """
    allowed = deadline.remaining_s() if limit_s is None else deadline.cap(limit_s)
    try:
        async with asyncio.timeout(allowed):
            return await work
    except TimeoutError as exc:
        if limit_s is None or deadline.remaining_s() <= 0:
            raise DeadlineExceeded(f"the request's {deadline.total_s:g} s are used up in stage {stage}") from exc
        raise StageUnavailable(stage, f"no answer within {limit_s:g} s") from exc
