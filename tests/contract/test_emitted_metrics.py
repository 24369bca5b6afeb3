"""Every metric that the service really emits, as one list that alarms and dashboards are held to.

The list is `tests/golden/emitted.json`: names and dimensions for CloudWatch, names and labels for Prometheus, read
from a service that answers, fails, falls back, is refused and asks a vendor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.adapters.memory import MemoryCache
from service.app import create_app
from service.errors import StageTimeout, StageUnavailable
from service.parts import Parts
from service.resilience.breaker import Breakers
from service.resilience.guarded import GuardedGenerator, GuardedStore
from service.settings import Settings
from tests.fakes import FakeDocuments, FakeEmbedder, FakeGenerator, FakeQueryModel, FakeReranker, FakeStore, hit
from tests.infra.cloud_cases import hold_to_golden
from tests.real_processes import Door, HttpServer, free_port

NAMESPACE = "rag/test"
LEFT = {"x-ratelimit-remaining-requests": "4999", "x-ratelimit-remaining-tokens": "149000"}
BASE: dict[str, Any] = {"vector_store": "faiss", "bundle_dir": Path("unused"), "metrics_port": 0}
EDGE = {"generator": "llamacpp", "llamacpp_url": "http://unused", "served_by": "edge", "privacy": "allow-cloud"}
ASKED = (
    ("/rag", {"query": "x"}),
    ("/rag", {"query": "x"}),
    ("/rag", {"query": "y", "stream": True}),
    ("/search", {"query": "x"}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
    ("/rag", {"query": ""}),
    ("/nowhere", {}),
)


class Seen:
    """What was emitted: (dimensions, name) and Prometheus's name with its labels."""

    def __init__(self) -> None:
        self.emf: set[tuple[tuple[str, ...], str]] = set()
        self.prometheus: dict[str, set[str]] = {}

    def lines(self, text: str) -> None:
        for document in (json.loads(line) for line in text.splitlines() if '"_aws"' in line):
            for directive in document["_aws"]["CloudWatchMetrics"]:
                assert directive["Namespace"] == NAMESPACE
                for dimensions in directive["Dimensions"]:
                    self.emf |= {(tuple(dimensions), metric["Name"]) for metric in directive["Metrics"]}

    def registry(self, registry: CollectorRegistry) -> None:
        for family in registry.collect():
            for sample in family.samples:
                self.prometheus.setdefault(sample.name, set()).update(set(sample.labels) - {"le"})

    def document(self) -> str:
        whole = {dimensions: sorted(name for of, name in self.emf if of == dimensions) for dimensions, _ in self.emf}
        emf = [{"dimensions": list(dimensions), "names": whole[dimensions]} for dimensions in sorted(whole)]
        # what the process collector says depends on the system, and created times are no metrics
        known = {name for name in self.prometheus if not name.startswith("process_") and not name.endswith("_created")}
        prometheus = {name: sorted(self.prometheus[name]) for name in sorted(known)}
        return json.dumps({"emf": emf, "prometheus": prometheus}, indent=1) + "\n"


async def run(settings: Settings, parts: Parts | None, seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(settings, parts)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            for path, body in ASKED:
                await http.post(path, json=body)
    seen.registry(app.state.service.telemetry.metrics.registry)
    seen.lines(capsys.readouterr().out)


def parts(generator: FakeGenerator, **more: Any) -> Parts:
    breakers = Breakers()
    known: dict[str, Any] = {
        "embedder": FakeEmbedder(),
        "store": GuardedStore(FakeStore(), breakers.add("qdrant", stage="retrieval", limit_s=5)),
        "generator": GuardedGenerator(generator, breakers.add("generator", stage="generation", limit_s=5)),
        "breakers": breakers,
    }
    return Parts(**known | more)


@pytest.fixture
def openai(door: Door) -> Iterator[HttpServer]:
    async def answer(request: Request) -> Response:
        fields = json.loads(await request.body())["response_format"]["json_schema"]["schema"]["properties"]
        said = json.dumps({name: None if name == "author" else "other words" for name in fields})
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        return JSONResponse(body, headers=LEFT)

    with door.opened(Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])) as server:
        yield server


async def test_what_is_emitted_is_the_list(openai: HttpServer, capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen()
    cloud = Settings(**BASE, emf_namespace=NAMESPACE)
    edge = Settings(**BASE, **EDGE, emf_namespace=NAMESPACE)
    all_stages = parts(
        FakeGenerator(),
        cache=MemoryCache(entries=10),
        documents=FakeDocuments(ids={"ada": ("ada",)}),
        query_model=FakeQueryModel(author="ada", variants=("z",)),
        reranker=FakeReranker(scores={"a": 1.0}),
        store=FakeStore(hits=[hit(), hit("b")]),
    )
    await run(cloud, all_stages, seen, capsys)
    for error in (StageUnavailable("generation", "down"), StageTimeout("generation", "slow")):
        await run(cloud, parts(FakeGenerator(error=error)), seen, capsys)
    withheld = FakeGenerator(pieces=("see [here](https://elsewhere.example.com/x) ", "[1]."))
    down = FakeReranker(error=StageUnavailable("reranking", "broken"))
    await run(cloud, parts(withheld, reranker=down), seen, capsys)
    falls_back = parts(FakeGenerator(error=StageUnavailable("generation", "down")), fallback=FakeGenerator())
    await run(edge, falls_back, seen, capsys)
    vendor = Settings(
        vector_store="qdrant",
        qdrant_url=f"http://127.0.0.1:{free_port()}",  # nobody is there
        query_model="openai",
        openai_api_key=SecretStr("sk-test"),
        openai_base_url=f"{openai.url}/v1",
        metrics_port=0,
        emf_namespace=NAMESPACE,
    )
    await run(vendor, None, seen, capsys)
    hold_to_golden("emitted.json", seen.document())
