"""The pipeline: question in, events out. Both the plain and the streamed answer are made of the same events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import TYPE_CHECKING

from service.errors import BadRequest, RagError, StageUnavailable
from service.prices import Prices
from service.rag import answer, expand, rerank, retrieve, route, self_query, spending
from service.rag.events import Answer, Answerer, Events, Found, Question, Token
from service.rag.generate import ModelAnswerer, RemoteAnswerer
from service.rag.trace import Trace
from service.resilience import Switches
from service.resilience.budgets import GenerationBudget, lookup_s

if TYPE_CHECKING:
    from service.parts import Parts
    from service.ports import Hit
    from service.rag.spending import Account
    from service.resilience import Deadline
    from service.settings import Settings


class Pipeline:
    """All stages over one set of parts; holds no state of a request."""

    def __init__(self, parts: Parts, settings: Settings, switches: Switches | None = None) -> None:
        self._parts = parts
        self._settings = settings
        self._switches = switches or Switches()
        self._prices = Prices.of(settings)
        self._lookup_s = lookup_s(settings)
        self._answerers = _answerers(parts, settings, self._prices)

    async def retrieve(self, question: Question, trace: Trace, deadline: Deadline) -> list[Hit]:
        """Chunks for the question, best first.

        Raises:
            StageUnavailable: retrieval failed, or a filter that the caller asked for can't be applied.
        """
        parts, settings, on = self._parts, self._settings, self._switches.now()
        reranker = parts.reranker if on.reranking else None
        expansion = expand.variants(
            question.text,
            parts.query_model if on.expansion else None,
            settings.expansions,
            trace,
            deadline,
            settings.query_model_timeout_s,
            self._prices.query_model,
        )
        expanding = asyncio.create_task(expansion)
        try:
            authors = await self._authors(question, trace, deadline)
            wordings = await expanding
        finally:
            expanding.cancel()  # a refused filter pays for no expansion
        limit = question.top_k if reranker is None else max(question.top_k, settings.candidates)

        async def search(restricted_to: tuple[str, ...] | None) -> list[Hit]:
            return await retrieve.search(
                wordings,
                embedder=parts.embedder,
                store=parts.store,
                collections=settings.collections,
                limit=limit,
                authors=restricted_to,
                trace=trace,
                deadline=deadline,
                limit_s=settings.search_timeout_s,
            )

        hits = await search(authors)
        if not hits and authors and question.author is None:
            hits = await search(None)  # the author was a guess, and nothing is by them
        return await rerank.best(
            question.text,
            hits,
            question.top_k,
            reranker=reranker,
            trace=trace,
            deadline=deadline,
            limit_s=settings.rerank_timeout_s,
        )

    async def search(self, question: Question, trace: Trace, deadline: Deadline) -> list[Hit]:
        """The same on the caller's account.

        Raises:
            LimitExceeded: the account does not hold what it may cost.
            StageUnavailable: as `retrieve`.
        """
        async with spending.spending(question.account, self._retrieval_at_most(question), trace):
            return await self.retrieve(question, trace, deadline)

    def run(self, question: Question, deadline: Deadline, trace: Trace | None = None) -> Events:
        """Found, then Tokens, then the Answer; closing the generator cancels the model call.

        Raises:
            RagError: no answer can be given; the message names the stage or the limit.
        """
        trace = trace or Trace()
        events = self._run(question, deadline, trace)
        return events if question.account is None else self._on_account(question.account, question, trace, events)

    async def _on_account(self, account: Account, question: Question, trace: Trace, events: Events) -> Events:
        async with spending.spending(account, self._answer_at_most(question), trace), aclosing(events):
            async for event in events:
                yield event

    async def _run(self, question: Question, deadline: Deadline, trace: Trace) -> Events:
        trace.question = question.text
        await self._refuse_too_long(question, deadline)
        hits = await self.retrieve(question, trace, deadline)
        best_score = max((hit.score for hit in hits), default=-1.0)
        covered = best_score >= self._settings.min_score
        candidates = self._candidates(question, best_score, deadline, covered=covered)
        if covered and not candidates:
            raise StageUnavailable("generation", "no generator is configured; use /search", retry_after_s=None)
        for n, candidate in enumerate(candidates):
            last = n == len(candidates) - 1
            within = deadline if last else deadline.leaving(route.CLOUD_RESERVE)
            waiting: Found | None = None  # a first answerer may fail before its first token: its sources wait for that
            begun = False
            try:
                async with aclosing(candidate.run(question, hits, trace, within)) as events:
                    async for event in events:
                        if isinstance(event, Found) and not last:
                            waiting = event
                            continue
                        if waiting is not None:
                            yield waiting
                            waiting = None
                        begun = True
                        if isinstance(event, Answer):
                            trace.answer, trace.served_by = event.text, event.served_by
                        yield event
            except RagError:
                if begun or (last and covered):
                    raise
                trace.degrade(candidate.served_by)
            else:
                return
        trace.served_by = self._settings.served_by
        yield Found(())
        yield Token(answer.UNKNOWN)
        yield Answer(answer.UNKNOWN, (), (), trace, self._settings.served_by)

    async def _refuse_too_long(self, question: Question, deadline: Deadline) -> None:
        """Before the query model is paid for a question that fits nobody's window."""
        refusals = [await answerer.too_long(question, deadline) for answerer in self._answerers.values()]
        if refusals and all(refusals):
            raise BadRequest(str(refusals[0]))

    def _candidates(
        self, question: Question, best_score: float, deadline: Deadline, *, covered: bool
    ) -> Sequence[Answerer]:
        """Who is tried, in order."""
        here, away = self._answerers.get("edge"), self._answerers.get("cloud")
        if self._settings.served_by == "cloud" or here is None:
            return [away] if covered and away is not None else []
        if not covered:  # another stack has other documents; a model has not
            return [away] if isinstance(away, RemoteAnswerer) else []
        situation = route.Situation(question.text, best_score, here.expected_s(), deadline.remaining_s())
        names = route.order(route.reasons_for_cloud(situation), cloud_allowed=away is not None)
        return [self._answerers[name] for name in names]

    async def _authors(self, question: Question, trace: Trace, deadline: Deadline) -> tuple[str, ...] | None:
        parts = self._parts
        if question.author is not None:
            return await self_query.requested_authors(question.author, parts.documents, deadline, self._lookup_s)
        return await self_query.guessed_authors(
            question.text,
            parts.query_model,
            parts.documents,
            trace,
            deadline,
            self._settings.query_model_timeout_s,
            self._lookup_s,
            self._prices.query_model,
        )

    def _retrieval_at_most(self, question: Question) -> Decimal:
        if self._parts.query_model is None:
            return Decimal(0)
        calls = [spending.expansion_at_most(question.text, self._settings.expansions)]
        calls += [spending.self_query_at_most(question.text)] if question.author is None else []
        return sum((spending.usd_of(call, self._prices.query_model) for call in calls), Decimal(0))

    def _answer_at_most(self, question: Question) -> Decimal:
        """Each answerer may be tried."""
        answering = (answerer.most_usd(question) for answerer in self._answerers.values())
        return sum(answering, self._retrieval_at_most(question))


def _answerers(parts: Parts, settings: Settings, prices: Prices) -> dict[str, Answerer]:
    """By who serves; the cloud side of an edge exists only where privacy lets a question leave."""
    found: dict[str, Answerer] = {}
    if parts.generator is not None:
        found[settings.served_by] = ModelAnswerer(
            parts.generator,
            served_by=settings.served_by,
            max_tokens=settings.max_output_tokens,
            price=prices.generator,
            budget=GenerationBudget.of_generator(settings),
        )
    if settings.privacy == "allow-cloud" and settings.served_by == "edge":
        if parts.remote is not None:
            found["cloud"] = RemoteAnswerer(parts.remote)
        elif parts.fallback is not None:
            found["cloud"] = ModelAnswerer(
                parts.fallback,
                served_by="cloud",
                max_tokens=settings.max_output_tokens,
                price=prices.fallback,
                budget=GenerationBudget.of_vendor(settings),
            )
    return found


async def last_of(events: Events) -> Answer:
    """Drain a run and return its answer.

    Raises:
        StageUnavailable: the run ended without one.
    """
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Answer):
                return event
    raise StageUnavailable("generation", "the pipeline ended without an answer")
