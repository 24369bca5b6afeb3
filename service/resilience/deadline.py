"""Time limits as values: one deadline per request, handed down; every wait is capped by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from service.errors import DeadlineExceeded, StageTimeout

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

    def sooner(self, limit_s: float | None) -> Deadline:
        """The end of a stage that may take `limit_s` from now, or this one where that is earlier."""
        return self if limit_s is None else Deadline(self.cap(limit_s))

    def leaving(self, share: float) -> Deadline:
        """The same with an earlier end: `share` of the time that is left is kept for who comes after."""
        return Deadline(self.total_s - share * self.remaining_s(), self.started)


async def within(
    deadline: Deadline, work: Callable[[], Awaitable[T]], *, stage: str, limit_s: float | None = None
) -> T:
    """Await what `work` begins for at most `limit_s` seconds and never beyond the deadline; after it nothing begins.

    Raises:
        DeadlineExceeded: the request's own time ran out.
        StageTimeout: the stage's limit ran out first.
    """
    ending = _Ending.of(deadline, stage, limit_s)
    if ending.after_s <= 0:
        raise ending.error()
    try:
        async with asyncio.timeout(ending.after_s):
            return await work()
    except TimeoutError as exc:
        raise ending.error() from exc


class Waits:
    """Many short waits of one stage under one timer; what happens between them is not interrupted.

    A timer per wait costs more than the wait itself where a model streams. The waits may be of different tasks, as the
    first event of a streamed answer and the others are.
    """

    def __init__(self, deadline: Deadline, *, stage: str, limit_s: float, first_s: float) -> None:
        self._deadline = deadline
        self._stage = stage
        self._limit_s = limit_s
        self._began = time.monotonic()
        self._task: asyncio.Task[object] | None = None
        self._cancelled = False
        self._ended: Exception | None = None
        self._timer = self._armed(min(limit_s, first_s))

    def begun(self) -> None:
        """The first result is there: from now on only the whole is limited."""
        self._timer.cancel()
        self._timer = self._armed(self._limit_s)

    async def wait(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await what `work` begins, unless the time is over.

        Raises:
            DeadlineExceeded: the request's own time ran out.
            StageTimeout: the stage's limit ran out first.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine is awaited by a task
        if self._ended is not None:
            raise self._ended
        cancelling = task.cancelling()
        self._task = task
        try:
            return await work()
        except asyncio.CancelledError as exc:
            if not self._cancelled:
                raise
            self._cancelled = False
            if task.uncancel() > cancelling or self._ended is None:
                raise  # somebody else wants the task to end too
            raise self._ended from exc
        finally:
            self._task = None
            if self._cancelled:  # the work swallowed it
                self._cancelled = False
                task.uncancel()

    def close(self) -> None:
        """Give up the timer."""
        self._timer.cancel()

    def _armed(self, limit_s: float) -> asyncio.TimerHandle:
        used_s = time.monotonic() - self._began
        ending = _Ending.of(self._deadline, self._stage, limit_s, used_s=used_s)
        if ending.after_s <= 0:
            self._ended = ending.error()
        return asyncio.get_running_loop().call_later(ending.after_s, self._expire, ending)

    def _expire(self, ending: _Ending) -> None:
        self._ended = ending.error()
        if self._task is not None:
            self._cancelled = True
            self._task.cancel()


class _Ending(NamedTuple):
    """Which limit ends a wait, known when it begins: an event loop's timer may fire a moment early."""

    after_s: float
    deadline: Deadline
    stage: str
    limit_s: float | None

    @classmethod
    def of(cls, deadline: Deadline, stage: str, limit_s: float | None, *, used_s: float = 0.0) -> _Ending:
        """The stage's limit, unless there is none or the deadline comes first."""
        remaining_s = deadline.remaining_s()
        if limit_s is None or remaining_s <= limit_s - used_s:
            return cls(remaining_s, deadline, stage, None)
        return cls(max(0.0, limit_s - used_s), deadline, stage, limit_s)

    def error(self) -> DeadlineExceeded | StageTimeout:
        """What to say then."""
        if self.limit_s is None:
            return DeadlineExceeded(f"the request's {self.deadline.total_s:g} s are used up in stage {self.stage}")
        return StageTimeout(self.stage, f"no answer within {self.limit_s:g} s")
