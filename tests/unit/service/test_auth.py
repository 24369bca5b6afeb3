from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.adapters.memory import MemoryCache
from service.settings import Settings
from tests.fakes import FakeGenerator, FakeStore
from tests.hashed_keys import hashed, key_book
from tests.in_process import calling

ADA, BOB = {"authorization": "Bearer ada-key"}, {"x-api-key": "bob-key"}
ASK = {"query": "What controls processes?"}
CHAT = {"messages": [{"role": "user", "content": "What controls processes?"}]}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    file.write_text(key_book(hashed("ada", "ada-key"), hashed("bob", "bob-key", requestsPerMinute=2)))
    return file


def client(
    book: Path, *, parts: dict[str, Any] | None = None, **more: Any
) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    told = {"auth": "api-keys", "api_keys_from": str(book), "docs": True, "metrics_port": 0} | more
    return calling(Settings(vector_store="faiss", bundle_dir=book, **told), **(parts or {}))


@pytest.mark.parametrize("who", [ADA, BOB])
@pytest.mark.parametrize(("path", "body"), [("/rag", ASK), ("/search", ASK), ("/v1/chat/completions", CHAT)])
async def test_a_known_key_is_answered(book: Path, who: dict[str, str], path: str, body: dict[str, Any]) -> None:
    async with client(book) as http:
        assert (await http.post(path, json=body, headers=who)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="rag-platform"'),
        ({"authorization": "Basic YWRhOmFkYS1rZXk="}, 'Bearer realm="rag-platform"'),
        ({"authorization": "Bearer wrong"}, 'Bearer realm="rag-platform", error="invalid_token"'),
        ({"x-api-key": "wrong"}, 'Bearer realm="rag-platform", error="invalid_token"'),
        ({"x-api-key": "k" * 513}, 'Bearer realm="rag-platform", error="invalid_token"'),
    ],
)
@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/rag"),
        ("POST", "/search"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/rag"),
        ("GET", "/nowhere"),
        ("POST", "/rag?api_key=ada-key&x-api-key=ada-key&access_token=ada-key"),
        ("POST", "/livez/../rag"),
    ],
)
async def test_without_a_known_key_nothing_is_answered_and_nothing_is_paid(
    book: Path, verb: str, path: str, headers: dict[str, str], challenge: str
) -> None:
    generator, store = FakeGenerator(), FakeStore()
    async with client(book, parts={"generator": generator, "store": store}) as http:
        response = await http.request(verb, path, json=ASK if verb == "POST" else None, headers=headers)
    body = response.json()
    assert (response.status_code, response.headers["content-type"]) == (401, "application/problem+json")
    assert response.headers["www-authenticate"] == challenge
    assert body["requestId"] == response.headers["x-request-id"]
    assert (generator.calls, store.calls) == (0, [])
    if path.startswith("/v1/"):
        assert body["error"]["code"] == "Unauthenticated"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/docs", "/openapi.json"])
async def test_what_load_balancers_and_browsers_ask_first_needs_no_key(book: Path, path: str) -> None:
    async with client(book) as http:
        assert (await http.get(path)).status_code == 200


async def test_a_body_of_nobody_known_is_never_read(book: Path) -> None:
    read = 0
    async with client(book) as http:
        app = http._transport.app  # type: ignore[attr-defined]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            nonlocal read
            read += 1
            return {"type": "http.request", "body": b"{}"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [(b"content-length", b"1000000000"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/rag", "headers": headers, "query_string": b""}
        await app(scope, receive, send)
    assert (sent[0]["status"], read) == (401, 0)
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_callers_of_other_names_do_not_share_a_kept_answer(book: Path) -> None:
    generator = FakeGenerator()
    async with client(book, parts={"generator": generator, "cache": MemoryCache(entries=10)}) as http:
        callers = [ADA, BOB, {"x-api-key": "ada-key"}]
        cached = [(await http.post("/rag", json=ASK, headers=who)).json()["cached"] for who in callers]
    assert (cached, generator.calls) == ([False, False, True], 2)


async def test_one_request_too_many_is_told_when_to_come_again_and_costs_nothing(book: Path) -> None:
    generator = FakeGenerator()
    async with client(book, parts={"generator": generator}) as http:
        answers = [await http.post("/rag", json=ASK, headers=BOB) for _ in range(3)]
        last = answers[-1]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert (last.headers["content-type"], generator.calls) == ("application/problem+json", 2)
        assert last.json()["detail"] == "requestsPerMinute: 2 requests a minute are allowed to this key"
        assert 1 <= int(last.headers["retry-after"]) <= 61
        chat = await http.post("/v1/chat/completions", json=CHAT, headers=BOB)
        assert (chat.status_code, chat.json()["error"]["code"]) == (429, "LimitExceeded")


async def test_a_key_that_is_over_its_limit_takes_nothing_from_another(book: Path) -> None:
    async with client(book) as http:
        bob = [(await http.get("/v1/models", headers=BOB)).status_code for _ in range(10)]
        ada = [(await http.get("/v1/models", headers=ADA)).status_code for _ in range(10)]
    assert (bob, ada) == ([200] * 2 + [429] * 8, [200] * 10)


async def test_a_key_that_says_no_limit_has_the_deployments(book: Path) -> None:
    async with client(book, requests_per_minute=3) as http:
        ada = [(await http.get("/v1/models", headers=ADA)).status_code for _ in range(5)]
        bob = [(await http.get("/v1/models", headers=BOB)).status_code for _ in range(5)]
        probes = [(await http.get("/readyz")).status_code for _ in range(5)]
    assert (ada, bob, probes) == ([200] * 3 + [429] * 2, [200] * 2 + [429] * 3, [200] * 5)


async def test_who_is_not_known_uses_up_nobodys_limit(book: Path) -> None:
    async with client(book) as http:
        for _ in range(5):
            await http.get("/v1/models", headers={"x-api-key": "wrong"})
        assert (await http.get("/v1/models", headers=BOB)).status_code == 200
