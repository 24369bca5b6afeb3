"""The cache of a single process: bounded, least recently used first out, expiry on the monotonic clock."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress


class MemoryCache:
    """Cache port without a server; its locks hold within the process."""

    def __init__(self, *, entries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries = entries
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._locks: dict[str, tuple[float, asyncio.Event]] = {}

    async def get(self, key: str) -> bytes | None:
        ends, value = self._kept.get(key, (0.0, b""))
        if ends <= self._clock():
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return value

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        self._kept[key] = (self._clock() + ttl_s, value)
        self._kept.move_to_end(key)
        while len(self._kept) > self._entries:
            self._kept.popitem(last=False)

    @asynccontextmanager
    async def lock(self, key: str, *, ttl_s: float) -> AsyncIterator[bool]:
        held = self._locks.get(key)
        if held is not None and held[0] > self._clock():
            with suppress(TimeoutError):
                async with asyncio.timeout(min(ttl_s, held[0] - self._clock())):
                    await held[1].wait()
            yield False
            return
        mine = (self._clock() + ttl_s, asyncio.Event())
        self._locks[key] = mine
        try:
            yield True
        finally:
            mine[1].set()
            if self._locks.get(key) is mine:
                del self._locks[key]

    async def ping(self) -> None:
        """A dictionary is always there."""
