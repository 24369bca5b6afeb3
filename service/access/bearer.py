"""A key that this service shows to another one, read where it is kept when it is needed, and again after a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

TTL_S = 60.0


@dataclass(slots=True)
class Bearer:
    """Kept elsewhere, so that it can be changed without a restart, and a start needs nobody's answer.

    Attributes:
        read: its bytes; blocks; raises OSError where they can't be had.
    """

    read: Callable[[], bytes]
    clock: Callable[[], float] = time.monotonic
    _value: str | None = field(default=None, repr=False)
    _until: float = 0.0
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def value(self) -> str:
        """The key; the last one where it can't be read again.

        Raises:
            OSError: it could never be read.
        """
        async with self._reading:
            if self._value is None or self.clock() >= self._until:
                await self._again()
        return self._value or ""

    async def _again(self) -> None:
        try:
            self._value = (await asyncio.to_thread(self.read)).decode().strip()
        except OSError:
            if self._value is None:
                raise
        self._until = self.clock() + TTL_S
