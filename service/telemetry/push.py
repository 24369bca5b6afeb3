"""An edge's signs of life and counts, sent every minute while it is online.

A host has no agent that reads log lines, so the service sends by itself. Nobody waits for it: a request only counts.
Offline, minutes are kept in memory, a day of them, and the oldest go first; nothing is queued but what may be lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from service.telemetry.exchange import FIRST_ERROR, FIRST_SERVER_ERROR, PROBES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.telemetry.exchange import Exchange

log = logging.getLogger(__name__)

PERIOD_S = 60.0
MOST_MINUTES = 24 * 60
AT_ONCE = 80  # minutes in one call: each is some ten of the thousand metrics that one may carry
LAST_S = 3.0  # that the end of the process may wait for the last call
CLOUD = "cloud"


@dataclass(slots=True)
class Minute:
    """What happened until `at`, seconds since 1970; `latencies` in ms, how often each.

    Two digits of a latency are kept: a busy day offline stays small, and a percentile is off by a twentieth at most.
    """

    at: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    latencies: Counter[float] = field(default_factory=Counter)

    def add(self, exchange: Exchange) -> None:
        """Count a finished request, by the same words as the log lines of the cloud's copies do."""
        trace, cause = exchange.trace, exchange.cause
        self.counts["requests"] += 1
        self.counts["errors"] += cause is not None and not FIRST_ERROR <= exchange.status < FIRST_SERVER_ERROR
        self.counts["refused"] += cause == "overloaded"
        if trace.ran:
            self.counts["degraded"] += bool(trace.degraded)
            self.latencies[float(f"{exchange.duration_ms:.2g}")] += 1
        if trace.served_by is None:  # a search, or a kept answer
            return
        self.counts["answers"] += 1
        self.counts["cloud_answers"] += trace.served_by == CLOUD


class MinuteWriter(Protocol):
    """Where minutes go."""

    def write(self, minutes: Sequence[Minute]) -> None:
        """Send them; blocks.

        Raises:
            OSError: not now; the same may be sent again.
            ValueError: never; they were refused.
        """
        ...


class Push:
    """A sink that is emptied every minute."""

    def __init__(
        self, writer: MinuteWriter, *, sent: Callable[[float], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._writer = writer
        self._sent = sent
        self._clock = clock
        self._current = Minute()
        self._waiting: deque[Minute] = deque(maxlen=MOST_MINUTES)
        self._offline = False

    def ended(self, exchange: Exchange) -> None:
        """Count it; at once."""
        if exchange.route not in PROBES:
            self._current.add(exchange)

    async def run(self) -> None:
        """Send every minute, until cancelled; the first sign of life at once."""
        while True:
            await self.push()
            await asyncio.sleep(PERIOD_S)

    async def push(self) -> None:
        """Close the minute, and send what waits, oldest first, while that works."""
        minute, self._current = self._current, Minute()
        minute.at = self._clock()
        self._waiting.append(minute)
        while self._waiting:
            minutes = [*self._waiting][:AT_ONCE]
            try:
                await asyncio.to_thread(self._writer.write, minutes)
            except OSError as exc:
                if not self._offline:
                    log.warning("metrics can't be sent, they wait for up to a day: %s", exc)
                self._offline = True
                return
            except ValueError as exc:
                log.warning("metrics of %d minutes are refused and dropped: %s", len(minutes), exc)
            else:
                self._sent(self._clock())
            if self._offline:
                log.info("metrics are sent again, %d minutes waited", len(self._waiting))
            self._offline = False
            for _ in minutes:
                self._waiting.popleft()

    async def last(self) -> None:
        """Send what is left, within a bound."""
        try:
            async with asyncio.timeout(LAST_S):
                await self.push()
        except TimeoutError:
            log.info("the last metrics were not sent in time")
