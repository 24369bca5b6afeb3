"""F22: where spans go is nobody's business who asks a question."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.contract.conftest import Library
from tests.fault_proxy import Down, FaultProxy, Timeout, Toxic
from tests.faults.deployment import PATIENCE_S, Asked, port_of, url_of
from tests.real_processes import free_port, serve, service, wait_until

SAMPLES = 20
BUSY_MS = 500.0  # the bound on a busy machine; 5 ms is what is looked for in the report


@dataclass
class Collector:
    """Takes OTLP over HTTP and counts the batches."""

    batches: int = 0

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/traces", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        await request.body()
        self.batches += 1
        return Response(media_type="application/x-protobuf")


@dataclass
class Traced(Asked):
    sink: FaultProxy
    metrics: str
    collector: Collector = field(default_factory=Collector)

    def dropped(self) -> float:
        lines = httpx.get(self.metrics, trust_env=False, timeout=PATIENCE_S).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("spans_dropped_total{"))

    def searched_ms(self) -> float:
        """p95 of some searches, which no model slows down."""
        replies = [self.ask(path="/search") for _ in range(SAMPLES)]
        assert {reply.status for reply in replies} == {200}
        return statistics.quantiles([reply.took_s * 1000 for reply in replies], n=20)[-1]


@pytest.fixture
def traced(library: Library) -> Iterator[Traced]:
    collector, metrics_port = Collector(), free_port()
    with serve(collector.app()) as server, FaultProxy(port_of(server.url)).running() as sink:
        settings = {
            "RAG_VECTOR_STORE": "faiss",
            "RAG_BUNDLE_DIR": library.home,
            "RAG_METRICS_PORT": metrics_port,
            "RAG_SEARCH_TIMEOUT_S": 10,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url_of(sink),
        }
        with (
            service(settings) as running,
            httpx.Client(base_url=running.url, trust_env=False, timeout=PATIENCE_S) as http,
        ):
            yield Traced(http, sink, f"http://127.0.0.1:{metrics_port}/metrics", collector)


@pytest.mark.fault("F22")
@pytest.mark.parametrize("toxic", [Down(), Timeout()], ids=["down", "hung"])
def test_a_sink_that_fails_slows_nobody_down_and_is_counted(
    traced: Traced, toxic: Toxic, figures: dict[str, float]
) -> None:
    before = traced.searched_ms()
    wait_until(lambda: traced.collector.batches > 0, within_s=PATIENCE_S, what="spans arrive")
    assert traced.dropped() == 0
    with traced.sink.suffering(toxic):
        added = traced.searched_ms() - before
        wait_until(lambda: traced.dropped() > 0, within_s=PATIENCE_S, what="lost spans are counted")
        added = max(added, traced.searched_ms() - before)
    seen = traced.collector.batches
    traced.ask(path="/search")
    wait_until(lambda: traced.collector.batches > seen, within_s=PATIENCE_S, what="spans arrive again")
    figures[f"added p95 ms, sink {type(toxic).__name__}"] = added
    assert added < BUSY_MS
