"""A stream's client that does not read: it holds neither the model nor its place beyond the deadline."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from service.api import event_stream
from service.app import create_app
from service.parts import Parts
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeStore

SETTINGS = Settings(
    vector_store="faiss",
    bundle_dir=Path("unused"),
    generator="llamacpp",
    llamacpp_url="http://unused",
    metrics_port=0,
    deadline_s=0.3,
    max_in_flight=1,
)
BODY = json.dumps({"query": "What controls processes?", "stream": True}).encode()
SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/rag",
    "raw_path": b"/rag",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 2),
}


async def test_who_does_not_read_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "LAST_WORD_S", 0.1)
    generator = FakeGenerator()
    unread: list[dict[str, Any]] = []
    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if unread:
            return unread.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if b"event: token" in sent[-1]:
            await asyncio.Event().wait()  # the client's window is full, for ever

    app = create_app(SETTINGS, Parts(FakeEmbedder(), FakeStore(), generator=generator))
    async with app.router.lifespan_context(app):
        for asked in (1, 2):  # the second needs the place of the first
            unread[:] = [{"type": "http.request", "body": BODY, "more_body": False}]
            async with asyncio.timeout(10):
                await app(dict(SCOPE), receive, send)
            assert (generator.calls, generator.closed) == (asked, asked)
    assert b"event: done" not in b"".join(sent)
