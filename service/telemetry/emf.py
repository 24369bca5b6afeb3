"""CloudWatch metrics as log lines, in the Embedded Metric Format: no agent, no call, no credentials.

A line holds the values of up to 100 requests (the format's limit per metric) or of a minute. A line per request would
be the same metrics for several times the log volume, which is what CloudWatch bills; a minute is its finest period
anyway. The dimensions are few: every combination is a metric that is billed by the month.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.telemetry.exchange import FIRST_SERVER_ERROR, PROBES

if TYPE_CHECKING:
    from service.telemetry.exchange import Exchange

SERVICE = "rag-platform"
MOST_VALUES = 100  # per metric and line; CloudWatch drops what is above
PERIOD_S = 60.0
DIMENSIONS = [["Service"], ["Service", "Route"]]


@dataclass(slots=True)
class _Batch:
    """What the requests of one route sum up to since the last line."""

    began: float
    requests: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    values: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class EmbeddedMetrics:
    """Collects finished requests; the clock and the way out are the caller's."""

    def __init__(
        self,
        namespace: str,
        *,
        release: str,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._namespace = namespace
        self._release = release
        self._write = write
        self._clock = clock
        self._batches: dict[str, _Batch] = {}

    def ended(self, exchange: Exchange) -> None:
        """Add the request to its route's line; write the line where it is full or due."""
        if exchange.route in PROBES:
            return
        batch = self._batches.get(exchange.route)
        if batch is None:
            batch = self._batches[exchange.route] = _Batch(self._clock())
        _add(batch, exchange)
        # Due here as well as by the timer: a frozen Lambda has no timer.
        if batch.requests >= MOST_VALUES or self._clock() - batch.began >= PERIOD_S:
            self._flush(exchange.route)

    def flush(self) -> None:
        """Write what has been collected."""
        for route in tuple(self._batches):
            self._flush(route)

    async def run(self) -> None:
        """Write every minute, until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            self.flush()

    def _flush(self, route: str) -> None:
        self._write(json.dumps(self._document(route, self._batches.pop(route)), separators=(",", ":")))

    def _document(self, route: str, batch: _Batch) -> dict[str, Any]:
        metrics: dict[str, Any] = {"requests": batch.requests, **batch.sums, **batch.values}
        directive = {
            "Namespace": self._namespace,
            "Dimensions": DIMENSIONS,
            "Metrics": [{"Name": name, "Unit": _unit(name)} for name in metrics],
        }
        return {
            "_aws": {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [directive]},
            "Service": SERVICE,
            "Route": route,
            "release": self._release,
            **metrics,
        }


def _add(batch: _Batch, exchange: Exchange) -> None:
    batch.requests += 1
    batch.sums["errors"] += exchange.status >= FIRST_SERVER_ERROR
    trace = exchange.trace
    batch.sums["cache_hits"] += trace.cache == "hit"
    if not trace.ran:
        return
    batch.values["total_latency_ms"].append(round(exchange.duration_ms, 1))
    for stage, took_ms in trace.stage_ms.items():
        batch.values[f"{stage}_latency_ms"].append(round(took_ms, 1))
    batch.sums["degraded"] += bool(trace.degraded)
    batch.sums["input_tokens"] += trace.usage.input_tokens
    batch.sums["output_tokens"] += trace.usage.output_tokens
    if trace.cost_usd is None:
        batch.sums["unpriced_queries"] += 1
    else:
        batch.values["query_cost_usd"].append(float(trace.cost_usd))


def _unit(name: str) -> str:
    if name.endswith("_ms"):
        return "Milliseconds"
    return "None" if name.endswith("_usd") else "Count"
