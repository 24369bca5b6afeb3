"""A value that is read again in the background, so that its change needs no restart and its source may be down."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

MISSED = 2  # intervals without a try: the process stood still


class Refreshed(Generic[T]):
    """The newest value that could be read."""

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        value: T,
        *,
        every_s: float,
        what: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.value = value
        self._read = read
        self._every_s = every_s
        self._what = what
        self._clock = clock
        self._tried = clock()

    async def current(self) -> T:
        """The value; where the process stood still, as Lambda's do between requests, it is read again first.

        The wall clock tells that: the monotonic one may stand still with the process.
        """
        if self._clock() - self._tried > MISSED * self._every_s:
            await self.again()
        return self.value

    async def again(self) -> None:
        """Read; the last good value holds where that fails."""
        self._tried = self._clock()
        try:
            self.value = await self._read()
        except Exception as exc:  # noqa: BLE001 - whatever it is, it must end neither rotation nor a request
            log.warning("%s can't be read, the last good one holds: %s", self._what, exc)

    async def keep(self) -> None:
        """Read for ever."""
        while True:
            await asyncio.sleep(self._every_s)
            await self.again()


@asynccontextmanager
async def refreshed(read: Callable[[], Awaitable[T]], *, every_s: float, what: str) -> AsyncIterator[Refreshed[T]]:
    """Read once, and again every `every_s` seconds while the block runs.

    Raises:
        Exception: what the first `read` raises.
    """
    current = Refreshed(read, await read(), every_s=every_s, what=what)
    reading = asyncio.create_task(current.keep())
    try:
        yield current
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
