from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api import checkup, middleware
from service.app import create_app
from service.errors import StageUnavailable, UpstreamThrottled
from service.parts import Parts
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeStore, hit
from tests.in_process import calling

SETTINGS = Settings(
    vector_store="faiss",
    bundle_dir=Path("unused"),
    generator="llamacpp",
    llamacpp_url="http://unused",
    metrics_port=0,
    docs=True,
    served_by="edge",
)
JSON = {"content-type": "application/json"}


def client(settings: Settings = SETTINGS, **parts: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    return calling(settings, **parts)


async def test_rag_answers_in_the_contracts_shape() -> None:
    async with client() as http:
        response = await http.post("/rag", json={"query": "What controls processes?"})
    body = response.json()
    assert response.status_code == 200
    assert set(body) == {
        "answer", "citations", "sources", "timings", "usage", "cached", "servedBy", "degraded", "skipped", "requestId",
    }  # fmt: skip
    assert set(body["timings"]) == {
        "self_query_ms", "query_expansion_ms", "retrieval_ms", "reranking_ms", "generation_ms", "total_ms",
    }  # fmt: skip
    assert set(body["sources"][0]) == {"id", "collection", "score", "title", "url", "author"}
    assert body["usage"] == {"inputTokens": 100, "outputTokens": 4, "costUsd": "0.000000"}
    assert (body["servedBy"], body["cached"]) == ("edge", False)


async def test_search_returns_the_texts() -> None:
    async with client(store=FakeStore([hit("a", text="the text"), hit("b")])) as http:
        response = await http.post("/search", json={"query": "x", "topK": 1})
    assert [result["text"] for result in response.json()["results"]] == ["the text"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "detail"),
    [
        (b'{"query": ""}', JSON, 422, "query: "),
        (b'{"query": "   "}', JSON, 422, "query: "),
        (json.dumps({"query": "x" * 4001}).encode(), JSON, 422, "4000 characters"),
        (b'{"query": "x", "topK": 0}', JSON, 422, "topK: "),
        (b'{"query": "x", "topK": 21}', JSON, 422, "topK: "),
        (b'{"query": "x", "top_k": 3, "topk": 1}', JSON, 422, "topk: "),
        (b'{"query": "x", "filters": {"autor": "ada"}}', JSON, 422, "filters.autor: "),
        (b'{"query": 7}', JSON, 422, "query: "),
        (b"{}", JSON, 422, "query: Field required"),
        (b"not json", JSON, 422, "body: "),
        (b"", JSON, 422, "body: "),
        (b'{"query": "x"}', {"content-type": "text/plain"}, 415, "Content-Type is text/plain; send application/json"),
        (b'{"query": "x"}', {"content-type": "application/problem+json"}, 415, "send application/json"),
        (b'{"query": "x"}', {}, 415, "Content-Type is not given"),
        (b'{"query": ""}', {"content-type": "APPLICATION/JSON; charset=utf-8"}, 422, "query: "),
        (b'{"query": "x", "topK": true}', JSON, 422, "topK: "),
        (b'{"query": "x", "topK": "3"}', JSON, 422, "topK: "),
        (b"[" * 20_000, JSON, 422, "body: is not JSON that can be read"),
        (b'{"query": "\xff"}', JSON, 422, "body: is not JSON that can be read"),
        (b'{"query": ' + b"7" * 5000 + b"}", JSON, 422, "body: is not JSON that can be read"),
        (b'{"query": "x", "query": "y"}', JSON, 422, "body: is no JSON: an object has a name twice"),
        (b'{"query": "x", "filters": {"author": "a", "author": "b"}}', JSON, 422, "an object has a name twice"),
        (b'{"query": "x", "topK": NaN}', JSON, 422, "NaN and Infinity are no numbers"),
        (b'{"query": "x", "topK": 2.5}', JSON, 422, "topK: "),
        (b'{"query": "' + b"x" * 40_960 + b'"}', JSON, 413, "over 32768 bytes"),
    ],
)
@pytest.mark.parametrize("path", ["/rag", "/search"])
async def test_bad_input_is_a_problem_that_says_what_and_costs_nothing(
    path: str, content: bytes, headers: dict[str, str], status: int, detail: str
) -> None:
    generator, store = FakeGenerator(), FakeStore()
    async with client(generator=generator, store=store) as http:
        response = await http.post(path, content=content, headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert detail in response.json()["detail"]
    assert (generator.calls, store.calls) == (0, [])


async def test_a_body_without_a_declared_length_is_cut_off_at_the_limit() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    async with client() as http:
        response = await http.post("/rag", content=endless(), headers=JSON)
    assert (response.status_code, response.json()["title"]) == (413, "Request body too large")


async def test_a_body_that_comes_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_S", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        for byte in b'{"query": "x"}':
            yield bytes([byte])
            await asyncio.sleep(0.02)

    store = FakeStore()
    async with client(store=store) as http:
        response = await http.post("/rag", content=slow(), headers=JSON)
    assert (response.status_code, response.json()["title"]) == (408, "Request body too slow")
    assert response.headers["connection"] == "close"
    assert store.calls == []


async def test_a_whole_number_may_be_written_with_a_point() -> None:
    async with client() as http:
        response = await http.post("/search", content=b'{"query": "x", "topK": 1.0}', headers=JSON)
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/v1/models"])
async def test_what_can_be_got_has_a_head(path: str) -> None:
    async with client() as http:
        assert (await http.head(path)).status_code == 200


async def test_the_deadline_counts_from_the_requests_first_byte() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b'{"query": '
        await asyncio.sleep(0.3)
        yield b'"x"}'

    async with client(SETTINGS.model_copy(update={"deadline_s": 0.2})) as http:
        response = await http.post("/rag", content=slow(), headers=JSON)
    assert (response.status_code, response.json()["title"]) == (503, "Deadline exceeded")


async def test_the_longest_legal_query_is_accepted() -> None:
    async with client() as http:
        response = await http.post("/rag", json={"query": "x" * 4000})
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/rag/1"])
async def test_an_unknown_path_is_a_problem(path: str) -> None:
    async with client() as http:
        response = await http.get(path)
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


async def test_a_trailing_slash_is_no_redirect_to_a_host_of_the_callers_choice() -> None:
    async with client() as http:
        response = await http.post("/rag/", json={"query": "x"}, headers={"host": "evil.example"})
    assert (response.status_code, "location" in response.headers) == (404, False)


async def test_the_docs_page_needs_no_other_host() -> None:
    async with client() as http:
        page = await http.get("/docs")
        script = await http.get("/static-offline-docs/swagger-ui-bundle.js")
    assert "https://" not in page.text
    assert script.status_code == 200


async def test_a_wrong_verb_names_the_right_one() -> None:
    async with client() as http:
        response = await http.get("/rag")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_stage_that_is_down_is_named_with_when_to_try_again() -> None:
    error = UpstreamThrottled("generation", "slow down", retry_after_s=6.2)
    async with client(generator=FakeGenerator(error=error)) as http:
        response = await http.post("/rag", json={"query": "x"})
    body = response.json()
    assert (response.status_code, response.headers["retry-after"], body["stage"]) == (503, "7", "generation")


async def test_an_unexpected_error_shows_nothing_of_itself() -> None:
    async with client(store=FakeStore(error=RuntimeError("planted-secret"))) as http:
        response = await http.post("/rag", json={"query": "x"})
    assert response.status_code == 500
    assert "planted-secret" not in response.text
    assert response.json()["requestId"] == response.headers["x-request-id"]


async def test_the_callers_request_id_is_kept_where_it_is_harmless() -> None:
    async with client() as http:
        kept = await http.post("/rag", json={"query": "x"}, headers={"x-request-id": "abc-1"})
        replaced = await http.post("/rag", json={"query": "x"}, headers={"x-request-id": "<script>"})
    assert kept.headers["x-request-id"] == kept.json()["requestId"] == "abc-1"
    assert "<" not in replaced.headers["x-request-id"]


def events(text: str) -> list[tuple[str, Any]]:
    parsed = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        parsed.append((fields["event"], json.loads(fields["data"])))
    return parsed


@pytest.mark.parametrize(("body", "headers"), [({"stream": True}, {}), ({}, {"accept": "text/event-stream"})])
async def test_a_stream_is_sources_tokens_done(body: dict[str, Any], headers: dict[str, str]) -> None:
    async with client() as http:
        response = await http.post("/rag", json={"query": "x"} | body, headers=headers)
    assert response.headers["content-type"].startswith("text/event-stream")
    names = [name for name, _ in events(response.text)]
    assert names == ["sources", "token", "token", "token", "token", "done"]
    last = events(response.text)[-1][1]
    assert last["answer"] == "Supervisor controls processes [1]."
    assert last["requestId"] == response.headers["x-request-id"]


async def test_a_body_that_says_no_stream_has_the_last_word() -> None:
    async with client() as http:
        response = await http.post(
            "/rag", json={"query": "x", "stream": False}, headers={"accept": "text/event-stream"}
        )
    assert response.headers["content-type"] == "application/json"


async def test_i_do_not_know_is_streamed_like_any_answer() -> None:
    async with client(store=FakeStore([])) as http:
        response = await http.post("/rag", json={"query": "x", "stream": True})
    assert [name for name, _ in events(response.text)] == ["sources", "token", "done"]


async def test_a_stream_that_breaks_ends_with_an_error_event() -> None:
    generator = FakeGenerator(error=StageUnavailable("generation", "cut"), error_after=2)
    async with client(generator=generator) as http:
        response = await http.post("/rag", json={"query": "x", "stream": True})
    assert [name for name, _ in events(response.text)] == ["sources", "token", "token", "error"]
    assert events(response.text)[-1][1]["stage"] == "generation"


async def test_a_stream_that_can_not_start_has_its_own_status() -> None:
    async with client(store=FakeStore(error=StageUnavailable("retrieval", "down"))) as http:
        response = await http.post("/rag", json={"query": "x", "stream": True})
    assert (response.status_code, response.json()["stage"]) == (503, "retrieval")


async def test_health_reports_dependencies_in_its_body_only() -> None:
    async with client(generator=FakeGenerator(error=StageUnavailable("generation", "down"))) as http:
        response = await http.get("/health")
        ready = await http.get("/readyz")
    assert (response.status_code, ready.status_code) == (200, 200)
    assert response.json()["dependencies"] == {
        "vectorStore": "up",
        "documents": "not configured",
        "generator": "down: Stage unavailable",
        "cache": "not configured",
    }


async def test_a_crowd_that_asks_for_health_asks_each_dependency_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def ping(_: FakeStore) -> None:
        asked.append(1)
        await asyncio.sleep(0.01)

    monkeypatch.setattr(FakeStore, "ping", ping)
    monkeypatch.setattr(checkup, "FRESH_S", 3600.0)
    async with client() as http:
        answers = await asyncio.gather(*(http.get("/health") for _ in range(20)))
    assert {answer.json()["dependencies"]["vectorStore"] for answer in answers} == {"up"}
    assert len(asked) == 1


async def test_a_draining_process_is_alive_and_not_ready_and_still_answers_who_comes() -> None:
    app = create_app(SETTINGS, Parts(FakeEmbedder(), FakeStore()))
    async with app.router.lifespan_context(app):
        app.state.service.ready = False
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            states = [(await http.get(path)).status_code for path in ("/livez", "/readyz", "/health")]
            late = await http.post("/search", json={"query": "x"})
    assert states == [200, 503, 503]
    assert (late.status_code, late.headers["connection"]) == (200, "close")


@pytest.mark.parametrize(("docs", "status"), [(True, 200), (False, 404)])
async def test_docs_are_served_only_where_they_are_asked_for(docs: bool, status: int) -> None:  # noqa: FBT001
    async with client(SETTINGS.model_copy(update={"docs": docs})) as http:
        answers = [(await http.get(path)).status_code for path in ("/docs", "/openapi.json")]
    assert answers == [status, status]


async def test_metrics_are_not_on_the_public_port() -> None:
    async with client() as http:
        assert (await http.get("/metrics")).status_code == 404


async def test_a_stream_that_breaks_unforeseen_ends_with_an_error_event_that_shows_nothing() -> None:
    generator = FakeGenerator(error=KeyError("planted-secret"), error_after=1)
    async with client(generator=generator) as http:
        response = await http.post("/rag", json={"query": "x", "stream": True})
        chat = await http.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}], "stream": True}
        )
    assert [name for name, _ in events(response.text)] == ["sources", "token", "error"]
    assert '"error"' in chat.text
    assert "[DONE]" not in chat.text
    assert "planted-secret" not in response.text + chat.text


async def test_null_means_the_default_to_openais_clients() -> None:
    async with client() as http:
        body = {"messages": [{"role": "user", "content": "x"}], "stream": None, "n": None}
        assert (await http.post("/v1/chat/completions", json=body)).status_code == 200
