"""Every limit is refused before a call that costs anything: who, how often, for how much, how large, how many."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeQueryModel, FakeStore
from tests.hashed_keys import hashed, key_book
from tests.in_process import calling

JSON = {"content-type": "application/json"}
KEY = {"x-api-key": "ada-key"} | JSON
POOR = {"x-api-key": "poor-key"} | JSON
ASK = {"query": "What controls processes?"}
CHAT = {"messages": [{"role": "user", "content": "What controls processes?"}]}


@dataclass
class Upstream:
    """All that a request may call, and how often it did."""

    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    store: FakeStore = field(default_factory=FakeStore)
    query_model: FakeQueryModel = field(default_factory=FakeQueryModel)
    generator: FakeGenerator = field(default_factory=FakeGenerator)

    @property
    def calls(self) -> int:
        counted = [self.query_model.calls, self.generator.calls, len(self.store.calls), len(self.embedder.seen)]
        return sum(counted)


def service(book: Path, upstream: Upstream) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    settings = Settings(
        vector_store="faiss",
        bundle_dir=book,
        metrics_port=0,
        auth="api-keys",
        api_keys_from=str(book),
        query_model="openai",
        generator="openai",
        openai_api_key="unused",
    )
    return calling(settings, **vars(upstream))


@pytest.fixture
def book(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    poor = hashed("poor", "poor-key", usdPerHour=0.000001)
    file.write_text(key_book(hashed("ada", "ada-key"), poor, hashed("busy", "busy-key", requestsPerMinute=1)))
    return file


def body(document: object) -> bytes:
    return json.dumps(document).encode()


def chat(**more: Any) -> bytes:
    return body(CHAT | more)


ASKING: dict[str, tuple[bytes, dict[str, str], int]] = {
    "nobody": (body(ASK), JSON, 401),
    "a key that is not known": (body(ASK), JSON | {"x-api-key": "wrong"}, 401),
    "two keys": (body(ASK), KEY | {"authorization": "Bearer poor-key"}, 401),
    "more than the key may spend": (body(ASK), POOR, 429),
    "a body over 32 KiB": (body(ASK | {"query": "x" * 33_000}), KEY, 413),
    "a body that says it is over 32 KiB": (body(ASK), KEY | {"content-length": "1000000000"}, 413),
    "a body that is no JSON": (b"{", KEY, 422),
    "a body of another media type": (body(ASK), KEY | {"content-type": "text/plain"}, 415),
    "an empty query": (body({"query": " "}), KEY, 422),
    "a query of 4,001 characters": (body({"query": "x" * 4001}), KEY, 422),
    "topK 0": (body(ASK | {"topK": 0}), KEY, 422),
    "topK 21": (body(ASK | {"topK": 21}), KEY, 422),
    "topK of a billion": (body(ASK | {"topK": 10**9}), KEY, 422),
    "a key that is unknown": (body(ASK | {"expansions": 100}), KEY, 422),
    "more tokens than the contract has": (body(ASK | {"maxTokens": 100_000}), KEY, 422),
    "a filter of 201 characters": (body(ASK | {"filters": {"author": "x" * 201}}), KEY, 422),
}
CHATTING: dict[str, tuple[bytes, dict[str, str], int]] = {
    "nobody": (chat(), JSON, 401),
    "more than the key may spend": (chat(), POOR, 429),
    "more than the key may spend, streamed": (chat(stream=True), POOR, 429),
    "a question of 4,001 characters": (chat(messages=[{"role": "user", "content": "x" * 4001}]), KEY, 422),
    "an empty question": (chat(messages=[{"role": "user", "content": " "}]), KEY, 422),
    "no question": (chat(messages=[{"role": "system", "content": "be brief"}]), KEY, 422),
    "no messages": (chat(messages=[]), KEY, 422),
    "201 messages": (chat(messages=CHAT["messages"] * 201), KEY, 422),
    "no tokens": (chat(max_tokens=0), KEY, 422),
    "two answers": (chat(n=2), KEY, 422),
    "an image": (chat(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), KEY, 422),
}
CASES = [(path, case) for path in ("/rag", "/search") for case in ASKING]
CASES += [("/v1/chat/completions", case) for case in CHATTING]


@pytest.mark.parametrize(("path", "case"), CASES)
async def test_what_is_refused_reaches_nothing_that_costs(book: Path, path: str, case: str) -> None:
    content, headers, status = (CHATTING if path.startswith("/v1") else ASKING)[case]
    upstream = Upstream()
    async with service(book, upstream) as http:
        response = await http.post(path, content=content, headers=headers)
    assert (response.status_code, upstream.calls) == (status, 0)
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/rag", "/search"])
async def test_a_request_too_many_reaches_nothing_that_costs(book: Path, path: str) -> None:
    upstream = Upstream()
    async with service(book, upstream) as http:
        first = await http.get("/v1/models", headers={"x-api-key": "busy-key"})
        response = await http.post(path, json=ASK, headers={"x-api-key": "busy-key"})
    assert (first.status_code, response.status_code, upstream.calls) == (200, 429, 0)


async def test_an_answer_is_never_longer_than_the_service_allows_whatever_is_asked_for(book: Path) -> None:
    asked: list[int] = []

    class Noting(FakeGenerator):
        async def stream(self, messages: Any, *, max_tokens: int) -> Any:
            asked.append(max_tokens)
            async for delta in FakeGenerator.stream(self, messages, max_tokens=max_tokens):
                yield delta

    async with service(book, Upstream(generator=Noting())) as http:
        response = await http.post("/v1/chat/completions", content=chat(max_tokens=10**6), headers=KEY)
    assert response.status_code == 200
    assert asked == [Settings.model_fields["max_output_tokens"].default]


async def test_the_query_model_is_asked_for_no_more_wordings_than_the_service_allows(book: Path) -> None:
    talkative = FakeQueryModel(variants=tuple(f"wording {n}" for n in range(100)))
    upstream = Upstream(query_model=talkative)
    async with service(book, upstream) as http:
        assert (await http.post("/search", json=ASK, headers=KEY)).status_code == 200
    assert [len(wordings) for wordings in upstream.embedder.seen] == [1 + Settings.model_fields["expansions"].default]
    assert talkative.calls == 2
