"""A bounded load on a service, each answer noted: what a fault did to those who asked meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

ASKERS = 8
PAUSE_S = 0.05
FRESH = 10  # every tenth question is a new one, streamed; the others are answered from the cache
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """What one request came to; times on the monotonic clock."""

    began: float
    ended: float
    failure: str | None


@dataclass
class Load:
    """Runs in a thread until it is stopped."""

    url: str
    outcomes: list[Outcome] = field(default_factory=list)
    stopping: bool = False

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.failure]

    @contextmanager
    def running(self) -> Iterator[Load]:
        thread = threading.Thread(target=lambda: asyncio.run(self._ask_all()))
        thread.start()
        try:
            yield self
        finally:
            self.stopping = True
            thread.join(PATIENCE_S)

    def reaches(self, count: int) -> None:
        """Wait for so many outcomes."""
        until = time.monotonic() + 2 * PATIENCE_S
        while len(self.outcomes) < count:
            assert time.monotonic() < until, f"{len(self.outcomes)} answers of {count}"
            time.sleep(0.05)

    async def _ask_all(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=PATIENCE_S) as http:
            await asyncio.gather(*(self._ask_on(http, asker) for asker in range(ASKERS)))

    async def _ask_on(self, http: httpx.AsyncClient, asker: int) -> None:
        number = 0
        while not self.stopping:
            number += 1
            fresh = number % FRESH == asker
            query = f"How does the Analytical Engine weave patterns {(asker, number) if fresh else ''}?"
            began = time.monotonic()
            failure = await _ask(http, {"query": query, "stream": fresh})
            self.outcomes.append(Outcome(began, time.monotonic(), failure))
            await asyncio.sleep(PAUSE_S)


async def _ask(http: httpx.AsyncClient, body: dict[str, object]) -> str | None:
    """Why it failed, None where the answer is whole."""
    try:
        response = await http.post("/rag", json=body)
    except httpx.HTTPError as exc:
        return type(exc).__name__
    if response.status_code != httpx.codes.OK:
        return f"{response.status_code} {response.text[:200]}"
    return "cut" if body["stream"] and "event: done" not in response.text else None
