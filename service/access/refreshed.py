"""A value that is read again in the background, so that its change needs no restart and its source may be down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)


class Refreshed(Generic[T]):
    """The newest value that could be read."""

    def __init__(self, value: T) -> None:
        self.value = value


@asynccontextmanager
async def refreshed(read: Callable[[], Awaitable[T]], *, every_s: float, what: str) -> AsyncIterator[Refreshed[T]]:
    """Read once, and again every `every_s` seconds while the block runs; the last good value holds.

    Raises:
        Exception: what the first `read` raises.
    """
    current = Refreshed(await read())
    reading = asyncio.create_task(_keep_reading(current, read, every_s, what))
    try:
        yield current
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading


async def _keep_reading(current: Refreshed[T], read: Callable[[], Awaitable[T]], every_s: float, what: str) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            current.value = await read()
        except Exception as exc:  # noqa: BLE001 - whatever it is, an end of this task would stop rotation silently
            log.warning("%s can't be read, the last good one holds: %s", what, exc)
