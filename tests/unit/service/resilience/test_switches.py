"""Stages that an operator turns off while the service runs."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.adapters.memory import MemoryCache
from service.adapters.switch_file import SwitchFile
from service.app import create_app
from service.errors import StageUnavailable
from service.parts import Parts
from service.resilience import Switches
from service.resilience.switches import ALL_ON, TTL_S
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeQueryModel, FakeReranker, FakeStore

SETTINGS = Settings(
    vector_store="faiss", bundle_dir=Path("unused"), generator="llamacpp", llamacpp_url="http://unused", metrics_port=0
)


@dataclass
class Source:
    """Says `said`, or fails."""

    said: bytes | None = None
    error: Exception | None = None
    reads: int = 0
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> bytes | None:
        self.reads += 1
        await self.answering.wait()
        if self.error:
            raise self.error
        return self.said


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


async def settled(switches: Switches) -> None:
    switches.now()
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_is_read_in_the_background_once_per_ttl_and_nobody_waits() -> None:
    source, clock = Source(b'{"expansion": false}'), Clock()
    switches = Switches(source, clock=clock)
    assert [switches.now() for _ in range(3)] == [ALL_ON] * 3
    await settled(switches)
    assert (source.reads, switches.now().expansion) == (1, True)
    source.answering.set()
    await settled(switches)
    assert switches.now().off() == ["expansion"]
    assert source.reads == 1
    source.said = None
    clock.now += TTL_S
    await settled(switches)
    assert (switches.now(), source.reads) == (ALL_ON, 2)
    await switches.aclose()


@pytest.mark.parametrize(
    ("said", "error", "told"),
    [
        (None, StageUnavailable("switches", "SSM gave no answer"), "SSM gave no answer"),
        (b"{", None, "Invalid JSON"),
        (b'{"expnsion": false}', None, "expnsion: Extra inputs are not permitted"),
        (b'{"expansion": "off"}', None, "expansion: Input should be a valid boolean"),
        (None, RuntimeError("unforeseen"), "failed, the last ones hold"),
    ],
)
async def test_what_can_not_be_read_or_understood_changes_nothing(
    said: bytes | None, error: Exception | None, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, clock = Source(b'{"cache": false}'), Clock()
    source.answering.set()
    switches = Switches(source, clock=clock)
    await settled(switches)
    source.said, source.error = said, error
    clock.now += TTL_S
    with caplog.at_level(logging.WARNING):
        await settled(switches)
    assert switches.now().off() == ["cache"]
    assert told in caplog.text


async def test_what_is_being_read_at_the_end_is_given_up() -> None:
    switches = Switches(Source())
    await settled(switches)
    await switches.aclose()


@asynccontextmanager
async def service(path: Path, **parts: Any) -> AsyncIterator[httpx.AsyncClient]:
    known = {"embedder": FakeEmbedder(), "store": FakeStore(), "generator": FakeGenerator()} | parts
    app = create_app(SETTINGS, Parts(**known, switches=SwitchFile(path)))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http,
    ):
        yield http


async def test_stages_that_are_off_are_skipped_without_a_call_and_named(tmp_path: Path) -> None:
    path = tmp_path / "switches.json"
    path.write_text(json.dumps({"expansion": False, "reranking": False, "cache": False}))
    model, reranker, generator = FakeQueryModel(variants=("other",)), FakeReranker(), FakeGenerator()
    async with service(
        path, query_model=model, reranker=reranker, generator=generator, cache=MemoryCache(entries=9)
    ) as http:
        bodies = [(await http.post("/rag", json={"query": "x"})).json() for _ in range(2)]
    assert [set(body["skipped"]) for body in bodies] == [{"query_expansion", "reranking", "cache"}] * 2
    assert [body["cached"] for body in bodies] == [False, False]
    assert (model.calls, reranker.batches, generator.calls) == (2, [], 2)  # the self-query still runs


async def test_an_answer_made_without_a_stage_is_not_given_out_once_the_stage_is_on_again(tmp_path: Path) -> None:
    path = tmp_path / "switches.json"
    cache, reranker = MemoryCache(entries=9), FakeReranker()
    path.write_text('{"reranking": false}')
    async with service(path, reranker=reranker, cache=cache) as http:
        before = [(await http.post("/rag", json={"query": "x"})).json()["cached"] for _ in range(2)]
    path.unlink()
    async with service(path, reranker=reranker, cache=cache) as http:
        after = (await http.post("/rag", json={"query": "x"})).json()
    assert before == [False, True]
    assert (after["cached"], after["skipped"]) == (False, ["self_query", "query_expansion"])
