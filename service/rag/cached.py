"""Answers from the cache: one upstream run for any number of identical questions that arrive together.

The key covers everything that an answer depends on. Only whole answers are kept: a degraded one is worth less than a
second try. A cache that is down costs time, never the answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import unicodedata
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from service.errors import RagError
from service.ports import Hit
from service.rag import prompt
from service.rag.events import Answer, Events, Found, Question, ServedBy, Token
from service.rag.trace import Trace
from service.resilience import Switches, within
from service.resilience.budgets import cache_s

if TYPE_CHECKING:
    from service.parts import Parts
    from service.ports import Cache
    from service.rag.pipeline import Pipeline
    from service.resilience import Deadline
    from service.settings import Settings

STAGE = "cache"
RESERVE = 0.5  # share of the time left that waiting for somebody else's answer leaves for an own one

# What shapes an answer besides the parts and the question.
SHAPING = {
    "candidates",
    "collections",
    "context_tokens",
    "documents",
    "expansions",
    "fallback",
    "fallback_url",
    "generation_model",
    "max_output_tokens",
    "min_score",
    "mongo_database",
    "openai_base_url",
    "openai_model_id",
    "privacy",
    "reranker_model",
    "sagemaker_component",
    "sagemaker_endpoint",
    "served_by",
}

T = TypeVar("T")


@dataclass(frozen=True)
class _Kept:
    """What is stored of an answer."""

    text: str
    citations: tuple[int, ...]
    sources: tuple[Hit, ...]
    served_by: ServedBy
    finish_reason: Literal["stop", "length"]


_KEPT = TypeAdapter(_Kept)


class Answers:
    """What the API asks for answers: the pipeline, behind the cache where there is one."""

    def __init__(self, pipeline: Pipeline, parts: Parts, settings: Settings, switches: Switches | None = None) -> None:
        self._pipeline = pipeline
        self._parts = parts
        self._settings = settings
        self._switches = switches or Switches()
        self._basis = deployment_basis(parts, settings)
        self._limit_s = cache_s(settings)

    async def run(self, question: Question, deadline: Deadline, trace: Trace | None = None) -> Events:
        """The same events as the pipeline's; a kept answer comes as one token.

        Raises:
            RagError: as the pipeline does.
        """
        trace = trace or Trace()
        cache, on = self._parts.cache, self._switches.now().cache
        if cache is None or not on:
            async with aclosing(self._pipeline.run(question, deadline, trace)) as events:
                async for event in events:
                    if isinstance(event, Answer) and not on:
                        event.trace.skip(STAGE)
                    yield event
            return
        async with AsyncExitStack() as stack:
            kept, key, broken = await self._find(cache, question, deadline, trace, stack)
            if kept is not None:
                trace.cache, trace.served_by = "hit", kept.served_by
                trace.question, trace.answer = question.text, kept.text
                for event in _replay(kept, trace):
                    yield event
                return
            trace.cache = None if broken else "miss"
            events = await stack.enter_async_context(aclosing(self._pipeline.run(question, deadline, trace)))
            async for event in events:
                if isinstance(event, Answer) and (broken or not await self._keep(cache, key, event)):
                    event.trace.degrade(STAGE)
                yield event

    async def _find(
        self, cache: Cache, question: Question, deadline: Deadline, trace: Trace, stack: AsyncExitStack
    ) -> tuple[_Kept | None, str, bool]:
        """A kept answer; else the key, and whether the cache failed. The lock is held on return, in `stack`."""
        key = ""
        try:
            version = await self._cached(deadline, self._parts.store.version)
            key = cache_key(question, version, self._basis + "".join(self._switches.now().off()))
            kept = _parse(await self._cached(deadline, partial(cache.get, key)))
            until = deadline.leaving(RESERVE)
            while kept is None and until.remaining_s() > 0:
                lock = cache.lock(key, ttl_s=deadline.remaining_s())
                with trace.held_up():
                    mine = await within(until, partial(stack.enter_async_context, lock), stage=STAGE)
                if mine:
                    break
                # Whoever held it is done; where no answer was kept, the next one tries, and one at a time.
                kept = _parse(await self._cached(deadline, partial(cache.get, key)))
        except RagError:
            return None, key, True
        return kept, key, False

    async def _cached(self, deadline: Deadline, work: Callable[[], Awaitable[T]]) -> T:
        return await within(deadline, work, stage=STAGE, limit_s=self._limit_s)

    async def _keep(self, cache: Cache, key: str, answer: Answer) -> bool:
        """Store a whole answer; False where the cache failed."""
        if answer.trace.degraded:
            return True
        kept = _Kept(
            answer.text,
            answer.citations,
            tuple(replace(hit, text="") for hit in answer.sources),
            answer.served_by,
            answer.finish_reason,
        )
        try:
            async with asyncio.timeout(self._limit_s):
                await cache.set(key, _KEPT.dump_json(kept), ttl_s=self._settings.cache_ttl_s)
        except (RagError, TimeoutError):
            return False
        return True


def deployment_basis(parts: Parts, settings: Settings) -> str:
    """Of all that shapes an answer, what no request changes; computed once."""
    models = [None if part is None else part.model_id for part in (parts.embedder, parts.generator, parts.fallback)]
    present = [part is not None for part in (parts.query_model, parts.reranker, parts.documents, parts.remote)]
    shaping = settings.model_dump(mode="json", include=SHAPING)
    return json.dumps([models, present, shaping, prompt.VERSION], sort_keys=True)


def cache_key(question: Question, index_version: str, basis: str) -> str:
    """Hash of the normalised question and of all that shapes its answer."""
    asked = [normalised(question.text), question.author, question.top_k, question.max_tokens, question.tenant]
    return "rag:" + hashlib.sha256(json.dumps([asked, index_version, basis]).encode()).hexdigest()


def normalised(query: str) -> str:
    """Case, width and white space do not make another question; an exponent does."""
    if query.isascii():
        return " ".join(query.casefold().split())
    narrow = "".join(
        unicodedata.normalize("NFKC", character)
        if unicodedata.decomposition(character).startswith("<wide>")
        else character
        for character in query
    )
    return " ".join(unicodedata.normalize("NFC", narrow).casefold().split())


def _parse(value: bytes | None) -> _Kept | None:
    """What another release or somebody else wrote under the key is no answer."""
    if value is None:
        return None
    try:
        return _KEPT.validate_json(value)
    except ValidationError:
        return None


def _replay(kept: _Kept, trace: Trace) -> list[Found | Token | Answer]:
    answer = Answer(kept.text, kept.citations, kept.sources, trace, kept.served_by, kept.finish_reason, cached=True)
    return [Found(kept.sources), Token(kept.text), answer]
