"""F29: limits and lifetimes are on the monotonic clock, so that a jump of the wall clock moves none of them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from service.adapters.memory import MemoryCache
from service.app import create_app
from service.parts import Parts
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeStore

HOUR_S = 3600.0


@pytest.mark.fault("F29")
@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
async def test_nothing_expires_and_nothing_hangs(jump_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        vector_store="faiss",
        bundle_dir=Path("unused"),
        generator="llamacpp",
        llamacpp_url="http://unused",
        metrics_port=0,
        requests_per_minute=100,
    )
    generator = FakeGenerator(delay_s=0.05)
    app = create_app(settings, Parts(FakeEmbedder(), FakeStore(), generator=generator, cache=MemoryCache(entries=9)))
    wall = time.time
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http,
    ):
        assert (await http.post("/rag", json={"query": "kept"})).json()["cached"] is False
        streaming = asyncio.create_task(http.post("/rag", json={"query": "in flight", "stream": True}))
        while generator.calls < 2:
            await asyncio.sleep(0.005)
        monkeypatch.setattr(time, "time", lambda: wall() + jump_s)
        async with asyncio.timeout(10):
            streamed = await streaming
            kept = await http.post("/rag", json={"query": "kept"})
            fresh = await http.post("/rag", json={"query": "fresh"})
    assert streamed.text.rstrip().splitlines()[-2] == "event: done"
    assert (kept.json()["cached"], fresh.json()["cached"]) == (True, False)
    assert (fresh.status_code, fresh.json()["degraded"]) == (200, [])
