"""The RemoteService port against the service itself, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from service.access.bearer import Bearer
from service.access.kept import reader
from service.adapters.service_url import ServiceUrl
from service.app import create_app
from service.errors import StageUnavailable, UpstreamThrottled
from service.parts import Parts
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeReranker, FakeStore
from tests.hashed_keys import hashed, key_book
from tests.real_processes import HttpServer, serve

SETTINGS = Settings(
    vector_store="faiss",
    bundle_dir=Path("unused"),
    generator="llamacpp",
    llamacpp_url="http://unused",
    metrics_port=0,
    served_by="edge",
)
CONNECTIONS = 4
SOURCE = {"id": "a", "collection": "posts", "score": 0.5, "title": "A", "url": "https://example.org/a", "author": "ada"}
USAGE = {"inputTokens": 1, "outputTokens": 1, "costUsd": "0.1"}


def whole(**changes: object) -> dict[str, object]:
    """An answer of another stack, with what the service itself would not send."""
    answer = {"answer": "x [1].", "citations": [1, 2], "sources": [SOURCE], "usage": USAGE, "degraded": []}
    return answer | changes


@contextmanager
def service(settings: Settings = SETTINGS, **parts: Any) -> Iterator[HttpServer]:
    known: dict[str, Any] = {"embedder": FakeEmbedder(), "store": FakeStore(), "generator": FakeGenerator()}
    with serve(create_app(settings, Parts(**(known | parts))), lifespan="on") as server:
        yield server


@contextmanager
def answering(status: int, content: object, headers: dict[str, str] | None = None) -> Iterator[HttpServer]:
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def always() -> JSONResponse:
        return JSONResponse(content, status, headers)

    with serve(app) as server:
        yield server


@pytest.fixture
async def remote() -> AsyncIterator[Any]:
    opened: list[ServiceUrl] = []

    def at(url: str, key: str | None = None) -> ServiceUrl:
        opened.append(
            ServiceUrl.open(url, api_key=SecretStr(key) if key else None, connections=CONNECTIONS, read_timeout_s=60)
        )
        return opened[-1]

    yield at
    for each in opened:
        await each.aclose()


async def test_another_stacks_answer_comes_whole(remote: Any) -> None:
    store = FakeStore()
    with service(store=store) as server:
        answer = await remote(server.url).ask("What controls processes?", top_k=2, author="ada")
    assert (answer.text, answer.citations) == ("Supervisor controls processes [1].", (1,))
    assert [hit.id for hit in answer.sources] == ["a"]
    assert (answer.usage.input_tokens, answer.cost_usd, answer.degraded) == (100, Decimal(0), ())
    assert (store.calls[0]["limit"], store.calls[0]["authors"]) == (2, ("ada",))


async def test_what_it_did_without_is_passed_on(remote: Any) -> None:
    reranker = FakeReranker(error=StageUnavailable("reranking", "down"))
    with service(reranker=reranker) as server:
        answer = await remote(server.url).ask("x", top_k=1, author=None)
    assert answer.degraded == ("reranking",)


async def test_the_key_is_sent_and_never_shown(remote: Any) -> None:
    app, seen = FastAPI(), []

    @app.middleware("http")
    async def look(request: Any, call_next: Any) -> Any:
        seen.append(request.headers.get("authorization"))
        return await call_next(request)

    with serve(app) as server:
        other = remote(server.url, "planted-key")
        with pytest.raises(StageUnavailable) as caught:
            await other.ask("x", top_k=1, author=None)
    assert seen == ["Bearer planted-key"]
    assert "planted" not in f"{caught.value} {other!r}"


async def test_a_stack_that_asks_for_a_key_is_given_it_and_one_that_does_not_know_it_is_down(
    remote: Any, tmp_path: Path
) -> None:
    book = tmp_path / "keys.json"
    book.write_text(key_book(hashed("edge", "edge-key")))
    guarded = SETTINGS.model_copy(update={"auth": "api-keys", "api_keys_from": str(book)})
    with service(guarded) as server:
        assert (await remote(server.url, "edge-key").ask("What controls processes?", top_k=1, author=None)).sources
        for key in ("old-key", None):
            with pytest.raises(StageUnavailable, match="knows no such key; correct RAG_FALLBACK_API_KEY"):
                await remote(server.url, key).ask("What controls processes?", top_k=1, author=None)


async def test_a_limit_is_passed_on_with_its_wait(remote: Any) -> None:
    with answering(429, {}, {"retry-after": "7"}) as server, pytest.raises(UpstreamThrottled) as caught:
        await remote(server.url).ask("x", top_k=1, author=None)
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (500, {}),
        (404, {}),
        (200, {}),
        (200, []),
        (200, 5),
        (200, {"answer": "x"}),
        (200, whole(sources=[{"id": "a"}])),
        (200, whole(sources=[SOURCE | {"url": None}])),
        (200, whole(usage=USAGE | {"inputTokens": -1})),
        (200, whole(usage=USAGE | {"costUsd": "-1"})),
        (200, whole(usage=USAGE | {"costUsd": "NaN"})),
    ],
)
async def test_what_is_no_answer_is_a_stage_that_is_down(remote: Any, status: int, content: object) -> None:
    with answering(status, content) as server, pytest.raises(StageUnavailable, match="generation: "):
        await remote(server.url).ask("x", top_k=1, author=None)


async def test_what_a_newer_stack_says_besides_is_passed_over(remote: Any) -> None:
    with answering(200, whole(novelty=1, sources=[SOURCE | {"novelty": 1}])) as server:
        answer = await remote(server.url).ask("x", top_k=1, author=None)
    assert (answer.text, answer.citations, answer.sources[0].url) == ("x [1].", (1,), "https://example.org/a")


async def test_an_address_where_nobody_listens_is_a_stage_that_is_down(remote: Any) -> None:
    with pytest.raises(StageUnavailable, match=r"127\.0\.0\.1: ConnectError") as caught:
        await remote("http://user:planted-secret@127.0.0.1:9").ping()
    assert "planted" not in caught.value.detail


async def test_a_crowd_shares_the_pool(remote: Any) -> None:
    with service() as server:
        other = remote(server.url)
        await asyncio.gather(*(other.ask("x", top_k=1, author=None) for _ in range(40)))
        assert 1 <= server.accepted <= CONNECTIONS


async def test_a_key_that_is_kept_in_a_file_is_shown_and_may_change_or_be_missing(tmp_path: Path) -> None:
    book, kept = tmp_path / "keys.json", tmp_path / "fallbackApiKey"
    book.write_text(key_book(hashed("edge", "edge-key")))
    guarded = SETTINGS.model_copy(update={"auth": "api-keys", "api_keys_from": str(book)})
    with service(guarded) as server:
        bearer = Bearer(reader(str(kept), "RAG_FALLBACK_API_KEY_FROM"))
        other = ServiceUrl.open(server.url, api_key=None, connections=1, read_timeout_s=10, bearer=bearer)
        with pytest.raises(StageUnavailable, match=r"the key for 127.0.0.1 can't be read: No such file"):
            await other.ask("x", top_k=1, author=None)
        kept.write_text("edge-key\n")
        assert (await other.ask("What controls processes?", top_k=1, author=None)).sources
        await other.aclose()
