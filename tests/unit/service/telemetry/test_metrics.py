"""What /metrics says after requests through the whole app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from service.adapters.memory import MemoryCache
from service.app import create_app
from service.errors import DeadlineExceeded, StageTimeout, StageUnavailable, UpstreamThrottled
from service.parts import Parts
from service.settings import Settings
from service.telemetry.metrics import BREAKER_STATES, Metrics
from tests.fakes import FakeEmbedder, FakeGenerator, FakeQueryModel, FakeStore
from tests.hashed_keys import key_book

SETTINGS = Settings(
    vector_store="faiss",
    bundle_dir=Path("unused"),
    generator="llamacpp",
    llamacpp_url="http://unused",
    metrics_port=0,
    served_by="edge",
    release="sha256:abc",
)


@asynccontextmanager
async def service(
    settings: Settings = SETTINGS, **parts: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, CollectorRegistry]]:
    known = {"embedder": FakeEmbedder(), "store": FakeStore(), "generator": FakeGenerator()} | parts
    app: FastAPI = create_app(settings, Parts(**known))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield http, app.state.service.telemetry.metrics.registry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


async def test_an_answer_is_counted_with_its_stages_tokens_and_cost() -> None:
    async with service() as (http, registry):
        await http.post("/rag", json={"query": "x"})
        await http.post("/rag", json={"query": "x", "stream": True})
    assert value(registry, "requests_total", route="/rag", status="200", served_by="edge") == 2
    for stage in ("retrieval", "generation", "total"):
        assert value(registry, f"{stage}_latency_ms_count") == 2
    assert value(registry, "self_query_latency_ms_count") == 0
    assert value(registry, "tokens_total", direction="input") == 200
    assert value(registry, "query_cost_usd_count") == 2
    assert value(registry, "query_cost_usd_sum") == 0
    assert value(registry, "unpriced_queries_total") == 0
    assert value(registry, "build_info", release="sha256:abc") == 1
    assert value(registry, "process_open_fds") > 0


async def test_a_cost_that_is_not_known_is_no_zero() -> None:
    async with service(query_model=FakeQueryModel()) as (http, registry):
        await http.post("/rag", json={"query": "x"})
    assert (value(registry, "query_cost_usd_count"), value(registry, "unpriced_queries_total")) == (0, 1)


async def test_hits_and_misses_of_the_cache_are_counted() -> None:
    async with service(cache=MemoryCache(entries=10)) as (http, registry):
        for _ in range(3):
            await http.post("/rag", json={"query": "x"})
    counted = {outcome: value(registry, "cache_requests_total", outcome=outcome) for outcome in ("hit", "miss")}
    assert counted == {"hit": 2, "miss": 1}
    assert value(registry, "total_latency_ms_count") == 3
    assert value(registry, "generation_latency_ms_count") == 1


async def test_requests_that_wait_for_an_identical_one_are_the_queue() -> None:
    generator = FakeGenerator(delay_s=0.05)
    async with service(cache=MemoryCache(entries=10), generator=generator) as (http, registry):
        asking = [asyncio.create_task(http.post("/rag", json={"query": "x"})) for _ in range(4)]
        while value(registry, "queue_depth") < 3:
            await asyncio.sleep(0.001)
        assert value(registry, "concurrent_requests") == 4
        await asyncio.gather(*asking)
        assert (value(registry, "queue_depth"), value(registry, "concurrent_requests")) == (0, 0)


@pytest.mark.parametrize(
    ("error", "named", "status"),
    [
        (UpstreamThrottled("generation", "slow down"), "upstream_throttled", "503"),
        (StageUnavailable("generation", "down"), "stage_unavailable", "503"),
        (DeadlineExceeded("used up"), "timeout", "503"),
        (StageTimeout("generation", "no answer within 8 s"), "timeout", "503"),
        (RuntimeError("nobody foresaw it"), "internal", "500"),
    ],
)
async def test_a_failed_request_is_counted_by_its_cause(error: Exception, named: str, status: str) -> None:
    async with service(generator=FakeGenerator(error=error)) as (http, registry):
        await http.post("/rag", json={"query": "x"})
    assert value(registry, "errors_total", cause=named) == 1
    assert value(registry, "requests_total", route="/rag", status=status, served_by="edge") == 1


async def test_a_stream_that_breaks_is_an_error_whose_status_was_200() -> None:
    broken = FakeGenerator(error=StageUnavailable("generation", "cut"), error_after=2)
    async with service(generator=broken) as (http, registry):
        await http.post("/rag", json={"query": "x", "stream": True})
        chat = {"messages": [{"role": "user", "content": "x"}], "stream": True}
        await http.post("/v1/chat/completions", json=chat)
    assert value(registry, "errors_total", cause="stage_unavailable") == 2


@pytest.mark.parametrize(
    ("path", "body", "named", "route"),
    [
        ("/rag", {"query": ""}, "bad_request", "/rag"),
        ("/nowhere/7", {}, "http_404", "unmatched"),
        ("/livez", {}, "http_405", "/livez"),
    ],
)
async def test_refused_input_is_counted_by_its_cause_and_its_routes_template(
    path: str, body: dict[str, str], named: str, route: str
) -> None:
    async with service() as (http, registry):
        status = (await http.post(path, json=body)).status_code
    assert value(registry, "errors_total", cause=named) == 1
    assert value(registry, "requests_total", route=route, status=str(status), served_by="edge") == 1


def test_calls_breakers_and_quota_are_shown_as_they_are_told() -> None:
    metrics = Metrics(release="1", served_by="cloud")
    metrics.called("query-model", "openai", "upstream_throttled", 0.02)
    for state in ("open", "half-open"):
        metrics.breaker("qdrant", state)
    metrics.quota("query-model", "tokens", 149_000)
    called = {"dependency": "query-model", "backend": "openai", "outcome": "upstream_throttled"}
    assert value(metrics.registry, "dependency_latency_ms_count", **called) == 1
    assert value(metrics.registry, "dependency_latency_ms_sum", **called) == 20
    states = [value(metrics.registry, "breaker_state", dependency="qdrant", state=state) for state in BREAKER_STATES]
    assert states == [0, 0, 1]
    assert value(metrics.registry, "openai_ratelimit_remaining", dependency="query-model", kind="tokens") == 149_000


@pytest.mark.parametrize(("path", "route"), [("/rag", "/rag"), ("/v1/models", "/v1/models"), ("/rag/7", "unmatched")])
async def test_what_is_refused_before_its_route_is_looked_up_has_its_route(
    path: str, route: str, tmp_path: Path
) -> None:
    (tmp_path / "keys.json").write_text(key_book())
    settings = SETTINGS.model_copy(update={"auth": "api-keys", "api_keys_from": str(tmp_path / "keys.json")})
    async with service(settings) as (http, registry):
        await http.post(path)
    assert value(registry, "requests_total", route=route, status="401", served_by="edge") == 1
    assert value(registry, "errors_total", cause="unauthenticated") == 1
