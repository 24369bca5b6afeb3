"""What operators see: Prometheus metrics under the deployment guide's names, served on a port of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from service.errors import StartupError
from service.rag.trace import STAGES

if TYPE_CHECKING:
    from service.rag.trace import Trace

_BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 25_000, 60_000, 120_000)


class Telemetry:
    """One registry per app, so that two apps in one process do not share counters."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._stages = {
            stage: Histogram(
                f"{stage}_latency_ms", f"Time of stage {stage} in ms", buckets=_BUCKETS_MS, registry=self.registry
            )
            for stage in (*STAGES, "total")
        }
        self._requests = Counter(
            "requests", "Answered requests", ["route", "status", "served_by"], registry=self.registry
        )
        self._degraded = Counter("degraded", "Answers that did without a stage", ["stage"], registry=self.registry)
        self._tokens = Counter("tokens", "Model tokens", ["direction"], registry=self.registry)
        self._in_flight = Gauge("concurrent_requests", "Requests in flight", registry=self.registry)

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count the block as a request in flight."""
        self._in_flight.inc()
        try:
            yield
        finally:
            self._in_flight.dec()

    def answered(self, route: str, status: int, served_by: str) -> None:
        """Count a response by route template, status and who served it."""
        self._requests.labels(route, str(status), served_by).inc()

    def traced(self, trace: Trace) -> None:
        """Record what a finished pipeline run took and did without."""
        timings = trace.timings_ms()
        for stage in trace.stage_ms:
            self._stages[stage].observe(timings[f"{stage}_ms"])
        self._stages["total"].observe(timings["total_ms"])
        for stage in trace.degraded:
            self._degraded.labels(stage).inc()
        self._tokens.labels("input").inc(trace.usage.input_tokens)
        self._tokens.labels("output").inc(trace.usage.output_tokens)


@contextmanager
def metrics_server(telemetry: Telemetry, host: str, port: int) -> Iterator[None]:
    """Serve /metrics on its own port, which no load balancer, ingress or gateway routes to; 0 is off.

    Raises:
        StartupError: the port is taken.
    """
    if port == 0:
        yield
        return
    try:
        server, thread = start_http_server(port, addr=host, registry=telemetry.registry)
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
