"""Spans as a collector receives them: over a real socket, decoded from their protobuf."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import SecretStr

from service.app import create_app
from service.errors import StageUnavailable
from service.parts import Parts
from service.ports import RemoteAnswer, Usage
from service.settings import Settings
from service.telemetry import span_sinks, traces
from service.telemetry.propagation import outgoing
from tests.fakes import FakeEmbedder, FakeGenerator, FakeQueryModel, FakeStore
from tests.real_processes import serve, wait_until

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
QUESTION = "a very private question"


@dataclass
class Sink:
    """A collector that remembers what it was sent."""

    url: str = ""
    status: int = 200
    requests: list[Request] = field(default_factory=list)
    exports: list[ExportTraceServiceRequest] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/{path:path}")
        async def take(path: str, request: Request) -> Response:
            body = await request.body()
            if request.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.requests.append(request)
            if self.status == httpx.codes.OK:
                self.exports.append(ExportTraceServiceRequest.FromString(body))
            return Response(status_code=self.status, media_type="application/x-protobuf")

        return app

    def spans(self) -> dict[str, Any]:
        return {span.name: span for span in self.all_spans()}

    def all_spans(self) -> list[Any]:
        groups = (scope for export in self.exports for one in export.resource_spans for scope in one.scope_spans)
        return [span for group in groups for span in group.spans]


@pytest.fixture
def sink() -> Iterator[Sink]:
    collector = Sink()
    with serve(collector.app()) as server:
        collector.url = server.url
        yield collector


@contextmanager
def silent() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def service(url: str | None, *, parts: dict[str, Any] | None = None, **changes: Any) -> AsyncIterator[Any]:
    settings = Settings(
        vector_store="faiss",
        bundle_dir=Path("unused"),
        generator="openai",
        openai_api_key=SecretStr("k"),
        metrics_port=0,
        otlp_endpoint=url,
        release="r1",
        **changes,
    )
    known = {"embedder": FakeEmbedder(), "store": FakeStore(), "generator": FakeGenerator()} | (parts or {})
    app = create_app(settings, Parts(**known))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            http.registry = app.state.service.telemetry.metrics.registry  # type: ignore[attr-defined]
            yield http


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


async def test_a_request_is_a_span_below_its_caller_and_its_stages_are_below_it(sink: Sink) -> None:
    async with service(sink.url, parts={"query_model": FakeQueryModel()}) as http:
        await http.post("/rag", json={"query": QUESTION}, headers=CALLER | {"x-request-id": "id-7"})
        await http.get("/livez")
    spans = sink.spans()
    assert set(spans) == {"POST /rag", "chat gpt-4o-mini", "retrieval", "chat fake-llm"}
    root, generation = spans["POST /rag"], spans["chat fake-llm"]
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE_ID, PARENT_ID)
    for stage in set(spans) - {"POST /rag"}:
        span = spans[stage]
        assert (span.trace_id, span.parent_span_id) == (root.trace_id, root.span_id)
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    assert abs(root.end_time_unix_nano / 1e9 - time.time()) < 60
    said = attributes(generation)
    assert said.pop("rag.busy_ms") > 0
    assert said == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "fake-llm",
        "gen_ai.system": "openai",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 4,
        "rag.stage": "generation",
    }
    whole = attributes(root)
    assert whole["http.route"] == "/rag"
    assert whole["http.response.status_code"] == 200
    assert whole["rag.input_tokens"] == 130
    assert whole["rag.request_id"] == "id-7"
    resource = {one.key: one.value.string_value for one in sink.exports[0].resource_spans[0].resource.attributes}
    assert (resource["service.name"], resource["service.version"]) == ("rag-platform", "r1")


@pytest.mark.parametrize("said", [True, False])
async def test_texts_leave_only_where_a_setting_says_so(said: bool, sink: Sink) -> None:  # noqa: FBT001
    async with service(sink.url, trace_content=said) as http:
        await http.post("/rag", json={"query": QUESTION})
    exported = "".join(str(export) for export in sink.exports)
    assert (QUESTION in exported, "Supervisor controls processes [1]." in exported) == (said, said)
    if said:
        (message,) = json.loads(attributes(sink.spans()["POST /rag"])["gen_ai.input.messages"])
        assert message == {"role": "user", "parts": [{"type": "text", "content": QUESTION}]}


async def test_a_stage_that_failed_and_its_request_are_errors(sink: Sink) -> None:
    failing = FakeGenerator(error=StageUnavailable("generation", "down"))
    async with service(sink.url, parts={"generator": failing}) as http:
        await http.post("/rag", json={"query": QUESTION})
        await http.post("/rag", json={"query": ""})
    spans = sink.spans()
    failed = spans["chat fake-llm"]
    assert (failed.status.code, failed.status.message) == (2, "stage_unavailable")
    assert attributes(spans["POST /rag"])["error.type"] == "bad_request"
    assert spans["POST /rag"].status.code == 0


async def test_the_callers_trace_goes_on_to_another_stack(sink: Sink) -> None:
    @dataclass
    class Remote:
        carried: dict[str, str] = field(default_factory=dict)

        async def ask(self, query: str, *, top_k: int, author: str | None) -> RemoteAnswer:
            self.carried = outgoing()
            return RemoteAnswer("there", (), (), Usage(), None)

    remote = Remote()
    hybrid = {"served_by": "edge", "privacy": "allow-cloud", "fallback": "service", "fallback_url": "http://unused"}
    down = FakeGenerator(error=StageUnavailable("generation", "down"))
    async with service(sink.url, parts={"remote": remote, "generator": down}, **hybrid) as http:
        await http.post("/rag", json={"query": QUESTION}, headers=CALLER | {"x-request-id": "id-8"})
        traced = remote.carried
    assert traced["traceparent"].startswith(f"00-{TRACE_ID}-{sink.spans()['POST /rag'].span_id.hex()}-")
    assert traced["x-request-id"] == "id-8"
    async with service(None, parts={"remote": remote, "generator": down}, **hybrid) as http:
        await http.post("/rag", json={"query": QUESTION}, headers=CALLER)
    assert remote.carried["traceparent"] == CALLER["traceparent"]
    assert outgoing() == {}


async def test_opik_is_told_through_its_own_endpoint(sink: Sink) -> None:
    opik = {"opik_api_key": SecretStr("opik-key"), "opik_workspace": "team", "opik_url": f"{sink.url}/api/"}
    async with service(None, **opik) as http:
        await http.post("/rag", json={"query": QUESTION})
    (request,) = sink.requests
    assert request.url.path == "/api/v1/private/otel/v1/traces"
    told = [request.headers[name] for name in ("authorization", "comet-workspace", "projectname")]
    assert told == ["opik-key", "team", "rag-platform"]
    assert "POST /rag" in sink.spans()


async def test_opik_reads_tokens_of_each_model_call_and_what_its_price_table_needs(sink: Sink) -> None:
    """By its GenAIMappingRules: `gen_ai.usage.*`, integers, `gen_ai.request.model`, `gen_ai.system`, of each call once.

    What the service paid by its own table is in `rag.cost_usd`. That Opik shows it is not tested: no Opik runs here.
    """
    prices = {"generation_usd_per_mtok": "1,2", "query_model": "openai", "query_model_usd_per_mtok": "1,2"}
    opik = {"opik_api_key": SecretStr("opik-key"), "opik_url": f"{sink.url}/api/", **prices}
    async with service(None, parts={"query_model": FakeQueryModel()}, **opik) as http:
        answer = await http.post("/rag", json={"query": QUESTION})
    calls = [span for span in sink.all_spans() if span.name.startswith("chat ")]  # two of them have one name
    tokens = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
    for call in calls:
        values = {one.key: one.value for one in call.attributes}
        assert values["gen_ai.request.model"].string_value
        assert values["gen_ai.system"].string_value == values["gen_ai.provider.name"].string_value
        for name in tokens:
            assert values[name].WhichOneof("value") == "int_value"  # Opik drops a number of another kind
            tokens[name] += values[name].int_value
    whole = attributes(sink.spans()["POST /rag"])
    assert not [name for name in whole if name.startswith("gen_ai.usage.")], "a trace is summed up over its spans"
    assert [*tokens.values()] == [whole["rag.input_tokens"], whole["rag.output_tokens"]]
    assert whole["rag.cost_usd"] == pytest.approx(float(answer.json()["usage"]["costUsd"]), abs=1e-6)
    assert whole["rag.cost_usd"] > 0


async def test_a_sink_that_refuses_costs_spans_which_are_counted(sink: Sink) -> None:
    sink.status = 400
    async with service(sink.url) as http:
        response = await http.post("/rag", json={"query": QUESTION})
        registry = http.registry
    assert response.status_code == 200
    assert registry.get_sample_value("spans_dropped_total", {"reason": "not_delivered"}) == 3


async def test_a_sink_that_hangs_holds_up_neither_a_request_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_sinks, "MOST_QUEUED", 20)
    monkeypatch.setattr(span_sinks, "BATCH", 5)
    monkeypatch.setattr(traces, "SHUTDOWN_S", 0.2)
    with silent() as url:
        async with service(url) as http:
            slowest = 0.0
            for _ in range(20):
                began = time.monotonic()
                assert (await http.post("/rag", json={"query": QUESTION})).status_code == 200
                slowest = max(slowest, time.monotonic() - began)
            began = time.monotonic()
            dropped = http.registry.get_sample_value("spans_dropped_total", {"reason": "queue_full"})
        ending_s = time.monotonic() - began
    assert dropped == 20 * 3 - 20
    assert slowest < span_sinks.EXPORT_S
    assert ending_s < span_sinks.EXPORT_S


async def test_spans_go_again_once_the_sink_is_back(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    sink.status = 400
    async with service(sink.url) as http:
        await http.post("/search", json={"query": QUESTION})
        await asyncio.to_thread(wait_until, lambda: bool(sink.requests), within_s=10, what="the first export")
        sink.status = 200
        await http.post("/search", json={"query": QUESTION})
        await asyncio.to_thread(wait_until, lambda: bool(sink.exports), within_s=10, what="the second export")
    said = [record.message for record in caplog.records if record.name == "service.telemetry.span_sinks"]
    assert [line.partition(":")[0] for line in said] == [
        "the OTLP collector takes no spans",
        "the OTLP collector takes spans again",
    ]


def test_the_sdk_is_loaded_only_where_a_sink_is_configured() -> None:
    program = "import sys, service.app; print(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
