"""The pipeline: question in, events out. Both the plain and the streamed answer are made of the same events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import StageUnavailable
from service.ports import Delta, Usage
from service.rag import answer, expand, prompt, rerank, retrieve, self_query
from service.rag.trace import Trace
from service.resilience import within

if TYPE_CHECKING:
    from service.parts import Parts
    from service.ports import Generator, Hit
    from service.resilience import Deadline
    from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Question:
    """A validated request; `author` is a filter that the caller asked for."""

    text: str
    top_k: int
    author: str | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer; citation n refers to `sources[n - 1]`."""

    text: str
    citations: tuple[int, ...]
    sources: tuple[Hit, ...]
    trace: Trace
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True)
class Found:
    """First event: the sources that the answer will be made from."""

    sources: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer as the model wrote it; the last event carries the checked text."""

    text: str


Event = Found | Token | Answer


class Pipeline:
    """All stages over one set of parts; holds no state between requests."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings

    async def retrieve(self, question: Question, trace: Trace, deadline: Deadline) -> list[Hit]:
        """Chunks for the question, best first.

        Raises:
            StageUnavailable: retrieval failed, or a filter that the caller asked for can't be applied.
        """
        parts, settings = self._parts, self._settings
        authors, wordings = await asyncio.gather(
            self._authors(question, trace, deadline),
            expand.variants(
                question.text, parts.query_model, settings.expansions, trace, deadline, settings.query_model_timeout_s
            ),
        )
        limit = question.top_k if parts.reranker is None else max(question.top_k, settings.candidates)
        hits = await retrieve.search(
            wordings,
            embedder=parts.embedder,
            store=parts.store,
            collections=settings.collections,
            limit=limit,
            authors=authors,
            trace=trace,
            deadline=deadline,
            limit_s=settings.search_timeout_s,
        )
        return await rerank.best(
            question.text,
            hits,
            question.top_k,
            reranker=parts.reranker,
            trace=trace,
            deadline=deadline,
            limit_s=settings.rerank_timeout_s,
        )

    async def run(self, question: Question, deadline: Deadline) -> AsyncGenerator[Event]:
        """Found, then Tokens, then the Answer; closing the iterator cancels the model call.

        Raises:
            RagError: no answer can be given; the message names the stage.
        """
        trace = Trace()
        hits = await self.retrieve(question, trace, deadline)
        if max((hit.score for hit in hits), default=-1.0) < self._settings.min_score:
            yield Found(())
            yield Answer(answer.UNKNOWN, (), (), trace)
            return
        generator = self._parts.generator
        if generator is None:
            raise StageUnavailable("generation", "no generator is configured; use /search", retry_after_s=None)
        max_tokens = min(question.max_tokens or self._settings.max_output_tokens, self._settings.max_output_tokens)
        with trace.timing("generation"):
            building = prompt.build(question.text, hits, generator, max_tokens=max_tokens)
            built = await within(deadline, building, stage="generation")
        yield Found(built.sources)
        pieces: list[str] = []
        end = Delta(finish_reason="stop")
        async with aclosing(self._generate(generator, built, trace, deadline)) as deltas:
            async for delta in deltas:
                if delta.text:
                    pieces.append(delta.text)
                    yield Token(delta.text)
                if delta.finish_reason:
                    end = delta
        checked = answer.check("".join(pieces), built.sources)
        yield Answer(checked.text, checked.citations, built.sources, trace, end.finish_reason or "stop")

    async def answer(self, question: Question, deadline: Deadline) -> Answer:
        """The last event of `run`."""
        async with aclosing(self.run(question, deadline)) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise StageUnavailable("generation", "the pipeline ended without an answer")

    async def _authors(self, question: Question, trace: Trace, deadline: Deadline) -> tuple[str, ...] | None:
        parts = self._parts
        if question.author is not None:
            return await self_query.requested_authors(question.author, parts.documents, deadline)
        limit_s = self._settings.query_model_timeout_s
        return await self_query.guessed_authors(
            question.text, parts.query_model, parts.documents, trace, deadline, limit_s
        )

    async def _generate(
        self, generator: Generator, built: prompt.Prompt, trace: Trace, deadline: Deadline
    ) -> AsyncGenerator[Delta]:
        """Deltas under the deadline; time spent by the consumer between them is not counted as generation."""
        async with aclosing(generator.stream(built.messages, max_tokens=built.max_tokens)) as stream:
            while True:
                with trace.timing("generation"):
                    delta = await within(deadline, anext(stream, None), stage="generation")
                if delta is None:
                    return
                trace.usage += delta.usage or Usage()
                yield delta
