from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from service.adapters.memory import MemoryCache
from service.errors import StageUnavailable
from service.parts import Parts
from service.rag.cached import Answers, cache_key, deployment_basis, normalised
from service.rag.events import Answer, Found, Question, Token
from service.rag.pipeline import Pipeline, last_of
from service.resilience import Deadline
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeQueryModel, FakeStore

SETTINGS = Settings(vector_store="faiss", bundle_dir=Path("unused"))
QUESTION = Question("What controls processes?", top_k=3)


@dataclass
class DictCache:
    """The port over a dict; what it promises across processes is tested on Redis in tests/contract."""

    kept: dict[str, bytes] = field(default_factory=dict)
    ttls: list[float] = field(default_factory=list)
    error: Exception | None = None
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def get(self, key: str) -> bytes | None:
        if self.error:
            raise self.error
        return self.kept.get(key)

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        if self.error:
            raise self.error
        self.kept[key] = value
        self.ttls.append(ttl_s)

    @asynccontextmanager
    async def lock(self, key: str, *, ttl_s: float) -> AsyncIterator[bool]:
        lock = self.locks.setdefault(key, asyncio.Lock())
        first = not lock.locked()
        async with lock:
            if first:
                yield True
        if not first:
            yield False

    async def ping(self) -> None: ...


def answers(cache: DictCache | MemoryCache | None, settings: Settings = SETTINGS, **parts: Any) -> Answers:
    known: dict[str, Any] = {"embedder": FakeEmbedder(), "store": FakeStore(), "generator": FakeGenerator()}
    opened = Parts(**(known | parts), cache=cache)
    return Answers(Pipeline(opened, settings), opened, settings)


async def ask(source: Answers, question: Question = QUESTION) -> Answer:
    return await last_of(source.run(question, Deadline(5)))


async def test_the_second_answer_comes_from_the_cache_and_costs_nothing() -> None:
    cache, generator = DictCache(), FakeGenerator()
    source = answers(cache, generator=generator)
    first, second = await ask(source), await ask(source)
    assert (first.cached, second.cached) == (False, True)
    assert (second.text, second.citations) == (first.text, first.citations)
    assert [chunk.id for chunk in second.sources] == [chunk.id for chunk in first.sources]
    assert (generator.calls, second.trace.usage.output_tokens) == (1, 0)
    assert cache.ttls == [3600.0]


async def test_a_kept_answer_streams_as_sources_one_token_and_the_answer() -> None:
    source = answers(DictCache())
    await ask(source)
    events = [event async for event in source.run(QUESTION, Deadline(5))]
    assert [type(event) for event in events] == [Found, Token, Answer]


async def test_a_hundred_identical_questions_at_once_make_one_call() -> None:
    generator = FakeGenerator(delay_s=0.02)
    source = answers(DictCache(), generator=generator)
    results = await asyncio.gather(*(ask(source) for _ in range(100)))
    assert (generator.calls, sum(result.cached for result in results)) == (1, 99)


async def test_a_degraded_answer_is_not_kept() -> None:
    cache = DictCache()
    model = FakeQueryModel(error=StageUnavailable("query_expansion", "down"))
    await ask(answers(cache, query_model=model))
    assert cache.kept == {}


async def test_a_crowd_is_not_let_loose_on_a_backend_that_fails() -> None:
    together = most = 0

    class Counting(FakeGenerator):
        async def stream(self, messages: Any, *, max_tokens: int) -> Any:
            nonlocal together, most
            together += 1
            most = max(most, together)
            try:
                await asyncio.sleep(0.01)
                raise StageUnavailable("generation", "down")
                yield  # makes this a generator
            finally:
                together -= 1

    source = answers(MemoryCache(entries=10), generator=Counting())
    results = await asyncio.gather(*(ask(source) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(result, StageUnavailable) for result in results)
    assert most <= 2


async def test_a_store_that_hangs_on_its_version_costs_a_second_and_not_the_answer() -> None:
    class Hanging(FakeStore):
        async def version(self) -> str:
            await asyncio.sleep(60)
            return "never"

    result = await ask(answers(DictCache(), store=Hanging()))
    assert (result.text, result.trace.degraded) == ("Supervisor controls processes [1].", ["cache"])


def test_an_exponent_is_another_question() -> None:
    assert normalised("What is 2\u2075?") != normalised("What is 25?")


async def test_a_failed_answer_is_not_kept_and_frees_the_lock() -> None:
    cache = DictCache()
    broken = FakeGenerator(error=StageUnavailable("generation", "down"))
    with pytest.raises(StageUnavailable):
        await ask(answers(cache, generator=broken))
    assert cache.kept == {}
    assert (await ask(answers(cache))).cached is False


async def test_a_cache_that_is_down_costs_nothing_but_a_word() -> None:
    result = await ask(answers(DictCache(error=StageUnavailable("cache", "down"))))
    assert (result.text, result.trace.degraded) == ("Supervisor controls processes [1].", ["cache"])


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"text": 1}'])
async def test_what_is_no_answer_under_the_key_is_ignored(content: bytes) -> None:
    cache = DictCache()
    source = answers(cache)
    await ask(source)
    (key,) = cache.kept
    cache.kept[key] = content
    assert (await ask(source)).cached is False


def key(question: Question = QUESTION, version: str = "v1", settings: Settings = SETTINGS, **parts: Any) -> str:
    known: dict[str, Any] = {"embedder": FakeEmbedder(), "store": FakeStore(), "generator": FakeGenerator()}
    return cache_key(question, version, deployment_basis(Parts(**(known | parts)), settings))


@pytest.mark.parametrize(
    "changed",
    [
        {"question": replace(QUESTION, text="What else?")},
        {"question": replace(QUESTION, author="ada")},
        {"question": replace(QUESTION, top_k=4)},
        {"question": replace(QUESTION, tenant="other")},
        {"question": replace(QUESTION, max_tokens=5)},
        {"version": "v2"},
        {"generator": FakeGenerator(model_id="other")},
        {"query_model": FakeQueryModel()},
        {"settings": SETTINGS.model_copy(update={"collections": ("posts",)})},
        {"settings": SETTINGS.model_copy(update={"min_score": 0.9})},
        {"settings": SETTINGS.model_copy(update={"served_by": "edge"})},
    ],
)
def test_whatever_shapes_an_answer_is_in_its_key(changed: dict[str, Any]) -> None:
    assert key(**changed) != key()


def test_a_changed_prompt_changes_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr("service.rag.prompt.VERSION", "other")
    assert key() != before


@pytest.mark.parametrize(
    "same", ["what CONTROLS processes?", "  What  controls\nprocesses? ", "What controls processes\uff1f"]
)
def test_case_width_and_white_space_do_not_make_another_question(same: str) -> None:
    assert normalised(same) == normalised(QUESTION.text)
    assert key(replace(QUESTION, text=same)) == key()
