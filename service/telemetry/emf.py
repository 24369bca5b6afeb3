"""CloudWatch metrics as log lines, in the Embedded Metric Format: no agent, no call, no credentials.

A line holds the values of up to 100 requests (the format's limit per metric) or of a minute. A line per request would
be the same metrics for several times the log volume, which is what CloudWatch bills; a minute is its finest period
anyway. The dimensions are few: every combination is a metric that is billed by the month. So all that a request says
is a metric of the service, and three of these are one of its route as well.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.telemetry.exchange import FIRST_ERROR, FIRST_SERVER_ERROR, PROBES

if TYPE_CHECKING:
    from service.telemetry.exchange import Exchange

SERVICE = "rag-platform"
MOST_VALUES = 100  # per metric and line; CloudWatch drops what is above
PERIOD_S = 60.0
WHOLE = ("Service",)
BY_ROUTE = ("Service", "Route")
BY_DEPENDENCY = ("Service", "Dependency")
OF_ROUTES = frozenset({"requests", "errors", "total_latency_ms"})
LIMITED = frozenset({"upstream_throttled", "upstream_exhausted"})
NOT_FAILED = frozenset({"ok", "cut_off", "endpoint_asleep"})  # cut off: the caller left it


@dataclass(slots=True)
class _Batch:
    """What the requests of one route, or the calls of one dependency, sum up to since the last line."""

    began: float
    requests: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    values: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class EmbeddedMetrics:
    """Collects finished requests; the clock, the way out, and what the process is like now are the caller's."""

    def __init__(
        self,
        namespace: str,
        *,
        release: str,
        write: Callable[[str], None],
        served_by: str = "cloud",
        levels: Callable[[], Mapping[str, float]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._namespace = namespace
        self._release = release
        self._write = write
        self._served_by = served_by
        self._levels = levels
        self._clock = clock
        self._routes: dict[str, _Batch] = {}
        self._calls: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._process_due = clock() + PERIOD_S

    def ended(self, exchange: Exchange) -> None:
        """Add the request to its route's line; write the line where it is full or due."""
        if exchange.route in PROBES:
            return
        batch = self._routes.get(exchange.route)
        if batch is None:
            batch = self._routes[exchange.route] = _Batch(self._clock())
        _add(batch, exchange, self._served_by)
        # Due here as well as by the timer: a frozen Lambda has no timer.
        now = self._clock()
        if batch.requests >= MOST_VALUES or now - batch.began >= PERIOD_S:
            self._flush_route(exchange.route)
        if now >= self._process_due:
            self._flush_process()

    def called(self, dependency: str, outcome: str) -> None:
        """Count a call to a dependency."""
        counts = self._calls[dependency]
        counts["dependency_calls"] += 1
        counts["dependency_failures"] += outcome not in NOT_FAILED
        counts["dependency_limited"] += outcome in LIMITED

    def flush(self) -> None:
        """Write what has been collected."""
        for route in tuple(self._routes):
            self._flush_route(route)
        self._flush_process()

    async def run(self) -> None:
        """Write every minute, until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            self.flush()

    def _flush_route(self, route: str) -> None:
        batch = self._routes.pop(route)
        metrics = {"requests": batch.requests, **batch.sums, **batch.values}
        own = {name: metrics[name] for name in metrics if name in OF_ROUTES}
        self._line({"Route": route}, metrics, (WHOLE, metrics), (BY_ROUTE, own))

    def _flush_process(self) -> None:
        self._process_due = self._clock() + PERIOD_S
        # One line a minute from each process, asked or not: their sum is how many run.
        levels = {"processes": 1, **self._levels()}
        self._line({}, levels, (WHOLE, levels))
        calls, self._calls = self._calls, defaultdict(Counter)
        for dependency, counts in calls.items():
            self._line({"Dependency": dependency}, counts, (BY_DEPENDENCY, counts))

    def _line(
        self,
        properties: Mapping[str, str],
        metrics: Mapping[str, Any],
        *directives: tuple[tuple[str, ...], Mapping[str, Any]],
    ) -> None:
        spelled = [
            {
                "Namespace": self._namespace,
                "Dimensions": [list(dimensions)],
                "Metrics": [{"Name": name, "Unit": _unit(name)} for name in names],
            }
            for dimensions, names in directives
        ]
        document = {
            "_aws": {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": spelled},
            "Service": SERVICE,
            **properties,
            "release": self._release,
            **metrics,
        }
        self._write(json.dumps(document, separators=(",", ":")))


def count_line(namespace: str, of: Mapping[str, str], counts: Mapping[str, int]) -> str:
    """A line of a job's log with these counts, `of` among their dimensions."""
    directive = {
        "Namespace": namespace,
        "Dimensions": [["Service", *of]],
        "Metrics": [{"Name": name, "Unit": _unit(name)} for name in counts],
    }
    head = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": head, "Service": SERVICE, **of, **counts}, separators=(",", ":"))


def _add(batch: _Batch, exchange: Exchange, served_by: str) -> None:
    batch.requests += 1
    sums, trace, cause = batch.sums, exchange.trace, exchange.cause
    # A stream that broke has status 200 and an error; a reader who left is nobody's error.
    refused = FIRST_ERROR <= exchange.status < FIRST_SERVER_ERROR
    sums["errors"] += cause is not None and not refused
    sums["client_errors"] += refused
    sums["timeouts"] += cause == "timeout"
    sums["refused"] += cause == "overloaded"
    sums["cache_hits"] += trace.cache == "hit"
    sums["cache_misses"] += trace.cache == "miss"
    if not trace.ran:
        return
    batch.values["total_latency_ms"].append(round(exchange.duration_ms, 1))
    for stage, took_ms in trace.stage_ms.items():
        batch.values[f"{stage}_latency_ms"].append(round(took_ms, 1))
    sums["degraded"] += bool(trace.degraded)
    sums["fallbacks"] += trace.served_by not in {None, served_by}
    sums["input_tokens"] += trace.usage.input_tokens
    sums["output_tokens"] += trace.usage.output_tokens
    if trace.cost_usd is None:
        sums["unpriced_queries"] += 1
    else:
        batch.values["query_cost_usd"].append(float(trace.cost_usd))


def _unit(name: str) -> str:
    if name.endswith("_ms"):
        return "Milliseconds"
    return "None" if name.endswith("_usd") else "Count"
