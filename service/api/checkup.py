"""How the dependencies are, for /health: everybody may ask that, so the answer is kept for a moment."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.errors import RagError

if TYPE_CHECKING:
    from service.parts import Parts

PING_S = 1.0
FRESH_S = 1.0


@dataclass(slots=True)
class Checkup:
    """One per app: however many ask, each dependency is asked once per FRESH_S."""

    parts: Parts
    _states: dict[str, str] = field(default_factory=dict)
    _ends: float = 0.0
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def states(self) -> dict[str, str]:
        """By name: up, down and why, or not configured. None of them is asked what costs money."""
        async with self._asking:
            if time.monotonic() >= self._ends:
                parts = {
                    "vectorStore": self.parts.store,
                    "documents": self.parts.documents,
                    "generator": self.parts.generator,
                    "cache": self.parts.cache,
                }
                found = await asyncio.gather(*(_state(part) for part in parts.values()))
                self._states = dict(zip(parts, found, strict=True))
                self._ends = time.monotonic() + FRESH_S
            return self._states


async def _state(part: object) -> str:
    ping = getattr(part, "ping", None)
    if ping is None:
        return "not configured"
    try:
        async with asyncio.timeout(PING_S):
            await ping()
    except TimeoutError:
        return "no answer"
    except RagError as exc:
        return f"down: {exc.title}"
    return "up"
