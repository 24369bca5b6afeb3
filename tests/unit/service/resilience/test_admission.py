from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from service.api.middleware import Bounded
from service.app import create_app
from service.errors import Overloaded
from service.parts import Parts
from service.resilience import Admission
from service.resilience.admission import places
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeStore

SETTINGS = Settings(
    vector_store="faiss", bundle_dir=Path("unused"), generator="llamacpp", llamacpp_url="http://unused", metrics_port=0
)


def test_beyond_the_last_place_nobody_is_let_in_until_one_is_given_back() -> None:
    admission = Admission(1)
    admission.take()
    with pytest.raises(Overloaded, match="1 requests are in flight") as refused:
        admission.take()
    admission.give_back()
    admission.take()
    assert (admission.taken, refused.value.retry_after_s) == (1, 1.0)


async def test_a_place_is_given_back_however_its_request_ends() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("broken")

    admission = Admission(1)
    bounded = Bounded(broken, admission, frozenset({"/rag"}))
    with pytest.raises(ValueError, match="broken"):
        await bounded({"type": "http", "path": "/rag"}, never, never)
    assert admission.taken == 0


async def never(*_: object) -> NoReturn:
    raise AssertionError("nothing is read or sent")


@pytest.mark.parametrize(("files", "expected"), [(1024, 333), (64, 13), (8, 1)], ids=["many", "few", "never none"])
def test_a_request_needs_descriptors(files: int, expected: int) -> None:
    assert places(files) == expected


@pytest.mark.parametrize(
    ("files", "changes", "limit", "few_files"),
    [
        (65536, {}, 100, False),
        (65536, {"http_connections": 2}, 4, False),
        (64, {}, 13, True),
        (65536, {"max_in_flight": 7}, 7, False),
        (64, {"max_in_flight": 7}, 7, True),
    ],
)
def test_the_bound_follows_the_models_pool_the_descriptors_or_the_operator(
    files: int,
    changes: dict[str, int],
    limit: int,
    few_files: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    admission = Admission.of(SETTINGS.model_copy(update=changes))
    assert (admission.limit, admission.few_files) == (limit, few_files)


@asynccontextmanager
async def one_place(generator: FakeGenerator, store: FakeStore) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        SETTINGS.model_copy(update={"max_in_flight": 1}), Parts(FakeEmbedder(), store, generator=generator)
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http,
    ):
        yield http


async def test_what_is_beyond_the_bound_is_refused_at_once_unread_and_probes_never_are() -> None:
    generator, store = FakeGenerator(delay_s=0.2), FakeStore()
    async with one_place(generator, store) as http:
        first = asyncio.create_task(http.post("/rag", json={"query": "x"}))
        while not store.calls:
            await asyncio.sleep(0.005)
        refused = [await http.post(path, content=b"not json") for path in ("/rag", "/search", "/v1/chat/completions")]
        probes = [(await http.get(path)).status_code for path in ("/livez", "/readyz", "/health", "/v1/models")]
        assert not first.done()
        assert (await first).status_code == 200
        after = await http.post("/rag", json={"query": "x"})
    assert {(one.status_code, one.headers["retry-after"]) for one in refused} == {(503, "1")}
    assert all(one.json()["title"] == "Too many requests in flight" and one.json()["requestId"] for one in refused)
    assert refused[2].json()["error"]["code"] == "Overloaded"
    assert (probes, after.status_code) == ([200] * 4, 200)


async def test_a_stream_holds_its_place_until_its_end() -> None:
    async with one_place(FakeGenerator(delay_s=0.02), FakeStore()) as http:
        streaming = asyncio.create_task(http.post("/rag", json={"query": "x", "stream": True}))
        await asyncio.sleep(0.05)
        second = await http.post("/search", json={"query": "x"})
        assert (await streaming).text.rstrip().splitlines()[-2] == "event: done"
        third = await http.post("/search", json={"query": "x"})
    assert (second.status_code, third.status_code) == (503, 200)
