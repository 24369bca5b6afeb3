"""Two service processes, one Redis: a hundred identical questions at once cost one call of the model."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from service.jobs import ingest
from tests.real_processes import free_port, redis_server, running, serve


@dataclass
class CountedModel:
    """llama.cpp's server as far as one answer takes, slow enough for a crowd to gather."""

    questions: list[str] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/tokenize")
        async def tokenize(body: dict[str, str]) -> dict[str, list[int]]:
            return {"tokens": [0] * len(body["content"].split())}

        @app.post("/v1/chat/completions")
        async def complete(body: dict[str, Any]) -> StreamingResponse:
            self.questions.append(body["messages"][-1]["content"])
            return StreamingResponse(self._events(), media_type="text/event-stream")

        return app

    async def _events(self) -> Any:
        await asyncio.sleep(1.0)
        yield 'data: {"choices": [{"delta": {"content": "Supervisor keeps processes running [1]."}}]}\n\n'
        yield 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
        yield 'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}\n\ndata: [DONE]\n\n'


@pytest.fixture(scope="module")
def bundle_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    documents = tmp_path_factory.mktemp("documents")
    (documents / "a.md").write_text("# Supervisor\nSupervisor keeps a number of processes running on UNIX hosts.")
    home = tmp_path_factory.mktemp("bundle")
    ingest.ingest(documents, home, "flat", min_recall=0.9, threads=1)
    return home


@pytest.fixture
def two_services(bundle_home: Path) -> Iterator[tuple[list[str], CountedModel]]:
    model = CountedModel()
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        upstream = stack.enter_context(serve(model.app()))
        urls = []
        for _ in range(2):
            port = free_port()
            settings = {
                "RAG_PORT": str(port),
                "RAG_METRICS_PORT": "0",
                "RAG_VECTOR_STORE": "faiss",
                "RAG_BUNDLE_DIR": str(bundle_home),
                "RAG_GENERATOR": "llamacpp",
                "RAG_LLAMACPP_URL": upstream.url,
                "RAG_SERVED_BY": "edge",
                "RAG_CACHE": "redis",
                "RAG_REDIS_URL": f"redis://127.0.0.1:{redis.port}",
                # A crowd on two shared cores: what is shown here is the lock, not the time limit.
                "RAG_REDIS_TIMEOUT_S": "5",
                "RAG_SEARCH_TIMEOUT_S": "10",
                "RAG_DEADLINE_S": "50",
                "RAG_GRACEFUL_S": "60",
            }
            command = ["env", *(f"{name}={value}" for name, value in settings.items()), sys.executable, "-m", "service"]
            stack.enter_context(running(command, port))
            urls.append(f"http://127.0.0.1:{port}")
        yield urls, model


async def ask(http: httpx.AsyncClient, url: str, query: str) -> dict[str, Any]:
    response = await http.post(f"{url}/rag", json={"query": query})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_a_hundred_identical_questions_over_two_processes_make_one_call(
    two_services: tuple[list[str], CountedModel],
) -> None:
    urls, model = two_services
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as http:
        query = "What keeps processes running on UNIX?"
        bodies = await asyncio.gather(*(ask(http, urls[n % 2], query) for n in range(100)))
        assert len(model.questions) == 1
        assert sum(body["cached"] for body in bodies) == 99
        assert {body["answer"] for body in bodies} == {"Supervisor keeps processes running [1]."}
        assert all(body["degraded"] == [] for body in bodies)
        again = await ask(http, urls[0], "  what KEEPS processes running on unix? ")
        assert again["cached"] is True
        other = await ask(http, urls[1], "Which program keeps processes up on UNIX hosts?")
        assert (other["cached"], len(model.questions)) == (False, 2)
