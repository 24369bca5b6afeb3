"""Prometheus metrics, under the deployment guide's names where it has them."""

from __future__ import annotations

from collections import Counter as Peaks
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, start_http_server

from service.errors import StartupError
from service.rag.trace import STAGES

if TYPE_CHECKING:
    from service.bundle import Manifest
    from service.rag.trace import Trace
    from service.telemetry.exchange import Exchange

_BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 25_000, 60_000, 120_000)
_BUCKETS_USD = (0, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
QUOTAS = ("requests", "tokens")
BREAKER_STATES = ("closed", "open", "half-open")


class Metrics:
    """One registry per app, so that two apps in one process do not share counters."""

    def __init__(self, *, release: str, served_by: str) -> None:
        self.registry = CollectorRegistry()
        self._served_by = served_by
        self._running: set[Exchange] = set()
        ProcessCollector(registry=self.registry)
        Info("build", "What runs", registry=self.registry).info({"release": release})
        self._stages = {
            stage: self._histogram(f"{stage}_latency_ms", f"Time of stage {stage} in ms")
            for stage in (*STAGES, "total")
        }
        self._requests = self._counter("requests", "Answered requests", "route", "status", "served_by")
        self._errors = self._counter("errors", "Requests that failed", "cause")
        self._degraded = self._counter("degraded", "Answers that did without a stage", "stage")
        self._withheld = self._counter("withheld", "Answers that something was kept out of", "what")
        tokens = self._counter("tokens", "Model tokens", "direction")
        self._input_tokens, self._output_tokens = tokens.labels("input"), tokens.labels("output")
        self._cache = self._counter("cache_requests", "Questions that were looked up in the cache", "outcome")
        self._unpriced = self._counter("unpriced_queries", "Answers whose cost is not known")
        self._cost = Histogram(
            "query_cost_usd", "Model spend per answer in USD", buckets=_BUCKETS_USD, registry=self.registry
        )
        self._calls = self._histogram(
            "dependency_latency_ms", "Time of a call in ms", "dependency", "backend", "outcome"
        )
        self._breakers = Gauge("breaker_state", "1 for the state", ["dependency", "state"], registry=self.registry)
        self._quota = Gauge(
            "openai_ratelimit_remaining", "What OpenAI said is left", ["dependency", "kind"], registry=self.registry
        )
        self._bundle: Info | None = None
        self._pushed: Gauge | None = None
        self.spans_dropped = self._counter("spans_dropped", "Spans that reached no sink", "reason")
        in_flight = Gauge("concurrent_requests", "Requests in flight", registry=self.registry)
        in_flight.set_function(lambda: len(self._running))
        queue = Gauge("queue_depth", "Requests that wait for another's identical answer", registry=self.registry)
        queue.set_function(self._waiting)
        self._peaks: Peaks[str] = Peaks()
        self._open: set[str] = set()
        self._left: dict[tuple[str, str], float] = {}

    def began(self, exchange: Exchange) -> None:
        """The request is in flight."""
        self._running.add(exchange)
        self._peak("concurrent_requests", len(self._running))

    def ended(self, exchange: Exchange) -> None:
        """Count the request, and what its pipeline took and did without."""
        self._peak("queue_depth", self._waiting())
        self._running.discard(exchange)
        trace = exchange.trace
        served_by = trace.served_by or self._served_by
        self._requests.labels(exchange.route, str(exchange.status), served_by).inc()
        cause = exchange.cause
        if cause is not None:
            self._errors.labels(cause).inc()
        if trace.ran:
            self._stages["total"].observe(exchange.duration_ms)
            self._traced(trace)
        if trace.cache is not None:
            self._cache.labels(trace.cache).inc()

    def called(self, dependency: str, backend: str, outcome: str, seconds: float) -> None:
        """Count a call to a dependency, and to whom that was."""
        self._calls.labels(dependency, backend, outcome).observe(seconds * 1000)

    def breaker(self, dependency: str, state: str) -> None:
        """Show the state that the dependency's breaker is in now."""
        for known in BREAKER_STATES:
            self._breakers.labels(dependency, known).set(known == state)
        (self._open.add if state == "open" else self._open.discard)(dependency)

    def quota(self, dependency: str, kind: str, remaining: float) -> None:
        """Show what OpenAI's last response to this client said is left of `kind`."""
        self._quota.labels(dependency, kind).set(remaining)
        self._left[dependency, kind] = remaining

    def levels(self) -> dict[str, float]:
        """The most that was in flight and waited since the last call, and what is open and left now."""
        self._peak("concurrent_requests", len(self._running))
        self._peak("queue_depth", self._waiting())
        peaks, self._peaks = dict(self._peaks), Peaks()
        left = {kind: min(of) for kind in QUOTAS if (of := [n for (_, k), n in self._left.items() if k == kind])}
        quotas = {f"openai_{kind}_remaining": count for kind, count in left.items()}
        return {**peaks, "breakers_open": len(self._open), **quotas}

    def bundle(self, name: str, manifest: Manifest) -> None:
        """Show which bundle serves from now on."""
        if self._bundle is None:
            self._bundle = Info("bundle", "The bundle that answers are taken from", registry=self.registry)
        self._bundle.info(
            {
                "id": name,
                "created": manifest.created.isoformat(timespec="seconds"),
                "index": manifest.index_type,
                "recall_at_10": f"{manifest.recall_at_10:.4f}",
                "chunks": str(manifest.count),
            }
        )

    def pushed(self, at: float) -> None:
        """Show when metrics last reached the cloud, in seconds since 1970."""
        if self._pushed is None:
            self._pushed = Gauge(
                "metrics_pushed_timestamp_seconds", "When metrics last reached the cloud", registry=self.registry
            )
        self._pushed.set(at)

    def _traced(self, trace: Trace) -> None:
        for stage, took_ms in trace.stage_ms.items():
            self._stages[stage].observe(took_ms)
        for stage in trace.degraded:
            self._degraded.labels(stage).inc()
        for what in trace.withheld:
            self._withheld.labels(what).inc()
        self._input_tokens.inc(trace.usage.input_tokens)
        self._output_tokens.inc(trace.usage.output_tokens)
        cost_usd = trace.cost_usd
        if cost_usd is None:
            self._unpriced.inc()
        else:
            self._cost.observe(float(cost_usd))

    def _peak(self, name: str, level: int) -> None:
        self._peaks[name] = max(self._peaks[name], level)

    def _waiting(self) -> int:
        # A copy, since the metrics server reads in a thread of its own.
        return sum(exchange.trace.waiting for exchange in tuple(self._running))

    def _counter(self, name: str, said: str, *labels: str) -> Counter:
        return Counter(name, said, labels, registry=self.registry)

    def _histogram(self, name: str, said: str, *labels: str) -> Histogram:
        return Histogram(name, said, labels, buckets=_BUCKETS_MS, registry=self.registry)


@contextmanager
def metrics_server(registry: CollectorRegistry, host: str, port: int) -> Iterator[None]:
    """Serve /metrics on its own port, which no load balancer, ingress or gateway routes to; 0 is off.

    Raises:
        StartupError: the port is taken.
    """
    if port == 0:
        yield
        return
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as exc:
        raise StartupError(
            f"RAG_METRICS_PORT: {host}:{port}: {exc.strerror}; stop what listens there or set another port"
        ) from exc
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
