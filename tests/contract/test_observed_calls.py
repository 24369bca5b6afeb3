"""What the metrics say of calls to vendors, through the whole app and over real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.app import create_app
from service.settings import Settings
from tests.real_processes import Door, HttpServer, free_port

LEFT = {"x-ratelimit-remaining-requests": "4999", "x-ratelimit-remaining-tokens": "149000"}


async def answer(request: Request) -> Response:
    """Names nobody, and words nothing otherwise."""
    fields = json.loads(await request.body())["response_format"]["json_schema"]["schema"]["properties"]
    said = json.dumps({name: None if name == "author" else "other words" for name in fields})
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
    counted = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": counted}
    return JSONResponse(body, headers=LEFT)


async def refuse(_: Request) -> Response:
    error = {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}
    return JSONResponse({"error": error}, 429, headers={"retry-after": "60"})


@pytest.fixture
def openai(door: Door, request: pytest.FixtureRequest) -> Iterator[HttpServer]:
    with door.opened(Starlette(routes=[Route("/v1/chat/completions", request.param, methods=["POST"])])) as server:
        yield server


@asynccontextmanager
async def service(openai: HttpServer) -> AsyncIterator[tuple[httpx.AsyncClient, CollectorRegistry]]:
    settings = Settings(
        vector_store="qdrant",
        qdrant_url=f"http://127.0.0.1:{free_port()}",  # nobody is there
        query_model="openai",
        openai_api_key=SecretStr("sk-test"),
        openai_base_url=f"{openai.url}/v1",
        metrics_port=0,
    )
    app = create_app(settings)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with app.router.lifespan_context(app), http:
        yield http, app.state.service.telemetry.metrics.registry


def counted(registry: CollectorRegistry, dependency: str) -> dict[tuple[str, str], float]:
    """Calls by backend and outcome."""
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    found: dict[tuple[str, str], float] = {}
    for sample in samples:
        labels: dict[str, Any] = sample.labels
        if sample.name == "dependency_latency_ms_count" and labels["dependency"] == dependency:
            found[labels["backend"], labels["outcome"]] = sample.value
    return found


@pytest.mark.parametrize("openai", [answer], indirect=True)
async def test_calls_are_counted_by_vendor_and_outcome_and_an_outage_shows_in_its_breaker(openai: HttpServer) -> None:
    async with service(openai) as (http, registry):
        first = await http.post("/search", json={"query": "x"})
        left = {
            kind: registry.get_sample_value("openai_ratelimit_remaining", {"dependency": "query-model", "kind": kind})
            for kind in ("requests", "tokens")
        }
        for _ in range(4):
            await http.post("/search", json={"query": "x"})
        states = {
            state: registry.get_sample_value("breaker_state", {"dependency": "qdrant", "state": state})
            for state in ("closed", "open", "half-open")
        }
        assert counted(registry, "query-model") == {("openai", "ok"): 10}
        assert set(counted(registry, "qdrant")) == {("qdrant", "unreachable")}
    assert first.status_code == 503
    assert left == {"requests": 4999, "tokens": 149_000}
    assert states == {"closed": 0, "open": 1, "half-open": 0}


@pytest.mark.parametrize("openai", [refuse], indirect=True)
async def test_a_rate_limit_of_openai_is_an_outcome_of_its_own(openai: HttpServer) -> None:
    async with service(openai) as (http, registry):
        await http.post("/search", json={"query": "x"})
        assert counted(registry, "query-model") == {("openai", "upstream_throttled"): 2}
