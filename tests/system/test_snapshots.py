"""Around a snapshot: connections are closed before and opened anew after, models stay; elsewhere there are no hooks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.adapters import onnx_minilm
from service.app import create_app
from service.settings import Settings
from tests.contract.conftest import Library, library  # noqa: F401 - a fixture
from tests.contract.test_qdrant import fill
from tests.fake_qdrant import FakeQdrant
from tests.real_processes import HttpServer, serve
from tests.scripted_openai import ScriptedOpenAI

QUESTION = {"query": "How does the Analytical Engine weave patterns?"}


@pytest.fixture
def backends(library: Library) -> Iterator[tuple[HttpServer, HttpServer]]:  # noqa: F811 - the fixture
    store = FakeQdrant()
    asyncio.run(fill(store.store, library))
    with serve(store.app()) as qdrant, serve(ScriptedOpenAI().app()) as openai:
        yield qdrant, openai


@asynccontextmanager
async def running(backends: tuple[HttpServer, HttpServer], **changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    qdrant, openai = backends
    told = {
        "metrics_port": 0,
        "qdrant_url": qdrant.url,
        "generator": "openai",
        "openai_api_key": "sk-test",
        "openai_base_url": f"{openai.url}/v1",
        "search_timeout_s": 10,
    }
    app = create_app(Settings(**(told | changed)))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://rag") as http:
        yield http


async def test_what_is_restored_answers_over_connections_of_its_own(
    backends: tuple[HttpServer, HttpServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    qdrant, _ = backends
    loaded: list[Path] = []
    load = onnx_minilm.open_session
    monkeypatch.setattr(
        onnx_minilm, "open_session", lambda path, threads: (loaded.append(path), load(path, threads))[1]
    )
    async with running(backends, snapshots=True) as http:
        assert (await http.post("/rag", json=QUESTION)).status_code == 200
        before = qdrant.accepted
        assert (await http.post("/snapstart/before")).status_code == 204
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.post("/snapstart/after")).status_code == 204
        assert (await http.get("/readyz")).status_code == 200
        answer = await http.post("/rag", json=QUESTION | {"query": QUESTION["query"] + "?"})
        assert answer.status_code == 200
        assert answer.json()["degraded"] == []
        assert qdrant.accepted > before
    assert len(loaded) == 1, "the model was loaded once"


async def test_two_copies_of_a_snapshot_make_different_ids(backends: tuple[HttpServer, HttpServer]) -> None:
    """Ids of traces are drawn from Python's generator, whose state is in the snapshot."""
    drawn = []
    async with running(backends, snapshots=True) as http:
        await http.post("/snapstart/before")
        state = random.getstate()
        for _ in range(2):
            random.setstate(state)  # as each copy starts
            await http.post("/snapstart/after")
            drawn.append(random.getrandbits(128))
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("hook", ["before", "after"])
async def test_elsewhere_nobody_can_close_the_connections(hook: str, backends: tuple[HttpServer, HttpServer]) -> None:
    async with running(backends) as http:
        assert (await http.post(f"/snapstart/{hook}")).status_code in {404, 405}
        assert (await http.post("/rag", json=QUESTION)).status_code == 200
