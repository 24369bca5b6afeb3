"""What browsers are told: security headers on every response, and which pages may call."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.errors import StageUnavailable
from service.settings import Settings
from tests.fakes import FakeStore
from tests.hashed_keys import hashed, key_book
from tests.in_process import calling

ASK = {"query": "What controls processes?"}
KEY = {"x-api-key": "ada-key"}
PAGE = "https://chat.example"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    file.write_text(key_book(hashed("ada", "ada-key")))
    return file


def client(
    book: Path, *, store: FakeStore | None = None, **more: Any
) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    told = {"auth": "api-keys", "api_keys_from": str(book), "docs": True, "metrics_port": 0} | more
    return calling(Settings(vector_store="faiss", bundle_dir=book, **told), store=store or FakeStore())


@pytest.mark.parametrize(
    ("verb", "path", "options", "status"),
    [
        ("GET", "/livez", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("POST", "/rag", {"json": ASK, "headers": KEY}, 200),
        ("POST", "/rag", {"json": ASK | {"stream": True}, "headers": KEY}, 200),
        ("POST", "/rag", {"json": ASK}, 401),
        ("GET", "/nowhere", {"headers": KEY}, 404),
        ("POST", "/rag", {"content": b"x", "headers": KEY}, 415),
        ("POST", "/rag", {"json": {}, "headers": KEY}, 422),
    ],
)
async def test_every_response_carries_them(
    book: Path, verb: str, path: str, options: dict[str, Any], status: int
) -> None:
    async with client(book) as http:
        response = await http.request(verb, path, **options)
    assert response.status_code == status
    said = response.headers
    assert (said["x-content-type-options"], said["referrer-policy"]) == ("nosniff", "no-referrer")
    assert (said["x-frame-options"], said["cache-control"]) == ("DENY", "no-store")
    assert "frame-ancestors 'none'" in said["content-security-policy"]
    assert not [name for name in said if said.get_list(name)[1:]], "a header is there twice"


async def test_an_error_that_nobody_foresaw_carries_them_too(book: Path) -> None:
    async with client(book, store=FakeStore(error=RuntimeError("x"))) as http:
        response = await http.post("/rag", json=ASK, headers=KEY)
    said = response.headers
    assert (response.status_code, said["x-content-type-options"], said["cache-control"]) == (500, "nosniff", "no-store")
    assert said["x-request-id"] == response.json()["requestId"]


async def test_files_of_the_docs_page_may_be_kept_and_nothing_else(book: Path) -> None:
    async with client(book) as http:
        script = await http.get("/static-offline-docs/swagger-ui-bundle.js")
    assert (script.status_code, "cache-control" in script.headers) == (200, False)
    assert script.headers["x-content-type-options"] == "nosniff"


async def test_no_page_may_call_unless_it_is_named(book: Path) -> None:
    preflight = {"origin": PAGE, "access-control-request-method": "POST"}
    async with client(book) as http:
        asked = await http.options("/rag", headers=preflight)
        answered = await http.post("/rag", json=ASK, headers=KEY | {"origin": PAGE})
    for response in (asked, answered):
        assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_a_named_page_may_send_its_key_and_read_why_it_was_refused(book: Path) -> None:
    wanted = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-api-key",
    }
    async with client(book, cors_origins=(PAGE,)) as http:
        preflight = await http.options("/rag", headers=wanted)
        refused = await http.post("/rag", json=ASK, headers={"origin": PAGE})
        other = await http.post("/rag", json=ASK, headers=KEY | {"origin": "https://evil.example"})
    assert preflight.status_code == 200  # without a key: browsers send none with it
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, PAGE)
    assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in other.headers
    for response in (preflight, refused, other):
        assert "access-control-allow-credentials" not in response.headers


async def test_a_stage_that_is_down_is_no_reason_for_a_browser_to_keep_the_answer(book: Path) -> None:
    async with client(book, store=FakeStore(error=StageUnavailable("retrieval", "down"))) as http:
        response = await http.post("/search", json=ASK, headers=KEY)
    assert (response.status_code, response.headers["cache-control"]) == (503, "no-store")
