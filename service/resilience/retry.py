"""Retries, in this one layer only: the vendors' clients have theirs off.

A call is tried twice at most, and the second time only where the first can't have done anything: it reached nobody, or
it was told to come again and there is the time to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from service.errors import RagError, Unreachable, UpstreamThrottled
from service.resilience.deadline import Deadline, within

T = TypeVar("T")

TRIES = 2
PAUSE_S = 0.05  # and as much again by chance, so that those that failed together do not return together
LEFT_FOR_WORK = 0.5  # share of the time left that waiting for a vendor may not take


async def tried(call: Callable[[], Awaitable[T]], deadline: Deadline, *, stage: str, limit_s: float | None = None) -> T:
    """What `call` gives within `limit_s`, at the second try where the first says that another is worth it.

    Raises:
        RagError: of the last try.
        DeadlineExceeded, StageUnavailable: as `within`.
    """
    soon = deadline.sooner(limit_s)
    return await within(deadline, lambda: retried(call, soon), stage=stage, limit_s=limit_s)


async def retried(call: Callable[[], Awaitable[T]], deadline: Deadline) -> T:
    """The same for a caller that limits the time itself.

    The first try is outside of stamina, which takes longer to set up than the rest of a stage.
    """
    try:
        return await call()
    except RagError as exc:
        first = exc
    async for attempt in stamina.retry_context(
        on=lambda exc: pause_s(exc, deadline),
        attempts=TRIES,
        timeout=None,  # whoever waits for this limits the time
        wait_initial=PAUSE_S,
        wait_jitter=PAUSE_S,
    ):
        with attempt:
            if attempt.num == 1:
                raise first
            return await call()
    raise AssertionError("stamina raises the last error")


def pause_s(exc: Exception, deadline: Deadline) -> float | bool:
    """Seconds before a second try, True for the usual pause, False where there is none."""
    if isinstance(exc, Unreachable):
        return True
    if isinstance(exc, UpstreamThrottled) and exc.retry_after_s is not None:
        return exc.retry_after_s if exc.retry_after_s <= LEFT_FOR_WORK * deadline.remaining_s() else False
    return False
