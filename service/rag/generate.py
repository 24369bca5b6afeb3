"""The two ways to an answer: a chat model here or in the cloud, or the /rag of another stack."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import TYPE_CHECKING

from service.errors import RagError
from service.ports import Delta, Usage
from service.rag import answer, links, prompt
from service.rag.events import Answer, Events, Found, Question, ServedBy, Token
from service.rag.guard import Guard
from service.rag.route import Load
from service.rag.spending import usd_of
from service.rag.trace import OTHERS, STAGES
from service.resilience import Waits, tried, within
from service.resilience.retry import retried

if TYPE_CHECKING:
    from service.ports import Generator, Hit, RemoteService
    from service.prices import TokenPrice
    from service.rag.trace import Trace
    from service.resilience import Deadline
    from service.resilience.budgets import GenerationBudget

STAGE = "generation"
UNKNOWN_STAGE = "remote"  # every name is a label of the metrics, and another stack may send any


class ModelAnswerer:
    """Prompt, generate, check citations."""

    def __init__(
        self,
        generator: Generator,
        *,
        served_by: ServedBy,
        max_tokens: int,
        price: TokenPrice | None,
        budget: GenerationBudget,
    ) -> None:
        self._generator = generator
        self._budget = budget
        self._price = price
        self._served_by = served_by
        self._max_tokens = max_tokens
        self._load = Load()

    @property
    def served_by(self) -> ServedBy:
        """Where the model runs."""
        return self._served_by

    def expected_s(self) -> float:
        """From what answers took here lately."""
        return self._load.expected_s()

    async def too_long(self, question: Question, deadline: Deadline) -> str | None:
        """Counted by the model's own tokenizer; a model that can't be asked says so when it is to answer."""
        longest, limit_s = self._longest(question), self._budget.first_token_s
        if prompt.surely_fits(question.text, self._generator, max_tokens=longest):
            return None

        def counting() -> Awaitable[str | None]:
            return prompt.too_long(question.text, self._generator, max_tokens=longest)

        try:
            return await within(deadline, counting, stage=STAGE, limit_s=limit_s)
        except RagError:
            return None

    def most_usd(self, question: Question) -> Decimal:
        """A prompt that fills the model's window, and the longest answer."""
        return usd_of(self._at_most(self._longest(question)), self._price)

    async def run(self, question: Question, hits: Sequence[Hit], trace: Trace, deadline: Deadline) -> Events:
        """Found, Tokens, Answer.

        Raises:
            RagError: the model failed, or the deadline is over.
        """
        max_tokens = self._longest(question)
        with trace.timing(STAGE):
            built = await within(
                deadline,
                lambda: prompt.build(question.text, hits, self._generator, max_tokens=max_tokens),
                stage=STAGE,
                limit_s=self._budget.first_token_s,
            )
        trace.model = self._generator.model_id
        yield Found(built.sources)
        guard = Guard(built.sources, built.mark)
        pieces: list[str] = []
        end = Delta(finish_reason="stop")
        async with aclosing(self._generate(built, trace, deadline)) as deltas:
            async for delta in deltas:
                if ready := guard.pass_on(delta.text):
                    pieces.append(ready)
                    yield Token(ready)
                if delta.finish_reason:
                    end = delta
                if guard.leaked:
                    break
        if ready := guard.rest():
            pieces.append(ready)
            yield Token(ready)
        if guard.links_removed:
            trace.withhold("link")
        if guard.leaked:
            trace.withhold("prompt")
            yield Token(answer.REFUSED)
        checked = answer.REFUSAL if guard.leaked else answer.check("".join(pieces), built.sources)
        yield Answer(
            checked.text, checked.citations, built.sources, trace, self._served_by, end.finish_reason or "stop"
        )

    async def _generate(self, built: prompt.Prompt, trace: Trace, deadline: Deadline) -> AsyncGenerator[Delta]:
        """Deltas under the deadline; time spent by the consumer between them is not counted as generation."""
        before_ms = trace.stage_ms.get(STAGE, 0.0)
        budget = self._budget
        waits = Waits(deadline, stage=STAGE, limit_s=budget.whole_s, first_s=budget.first_token_s)
        try:
            with trace.charging(self._price, self._at_most(built.max_tokens)) as charge, trace.timing(STAGE):
                soon = deadline.sooner(budget.first_token_s)
                stream, delta = await waits.wait(lambda: retried(lambda: self._begin(built), soon))
            waits.begun()
            async with aclosing(stream):
                while delta is not None:
                    if delta.usage is not None:
                        charge.settle(delta.usage)
                        trace.use(STAGE, delta.usage)
                    yield delta
                    with trace.timing(STAGE):
                        delta = await waits.wait(lambda: anext(stream, None))
        finally:
            waits.close()
            # One that ran out of time tells the most.
            self._load.observe((trace.stage_ms.get(STAGE, 0.0) - before_ms) / 1000)

    def _longest(self, question: Question) -> int:
        return min(question.max_tokens or self._max_tokens, self._max_tokens)

    def _at_most(self, max_tokens: int) -> Usage:
        return Usage(self._generator.context_tokens, max_tokens)

    async def _begin(self, built: prompt.Prompt) -> tuple[AsyncGenerator[Delta], Delta | None]:
        """A stream and its first piece: what may be tried again, since nothing was sent on yet."""
        stream = self._generator.stream(built.messages, max_tokens=built.max_tokens)
        return stream, await anext(stream, None)


class RemoteAnswerer:
    """Hands the question to another stack's /rag, which retrieves from its own documents."""

    def __init__(self, remote: RemoteService) -> None:
        self._remote = remote

    @property
    def served_by(self) -> ServedBy:
        """Another stack is the cloud, wherever it runs."""
        return "cloud"

    def expected_s(self) -> float:
        """Not known."""
        return 0.0

    def most_usd(self, question: Question) -> Decimal:  # noqa: ARG002 - the port's shape
        """Limited there, by the key that this service has."""
        return Decimal(0)

    async def too_long(self, question: Question, deadline: Deadline) -> str | None:  # noqa: ARG002 - not known here
        """The other stack says it itself."""
        return None

    async def run(self, question: Question, hits: Sequence[Hit], trace: Trace, deadline: Deadline) -> Events:  # noqa: ARG002 - it retrieves itself
        """Found, one Token, Answer.

        Raises:
            RagError: the other stack can't be reached or refused.
        """
        with trace.charging(None, Usage()) as charge, trace.timing(STAGE):
            remote = await tried(
                lambda: self._remote.ask(question.text, top_k=question.top_k, author=question.author),
                deadline,
                stage=STAGE,
            )
        charge.usd = remote.cost_usd
        trace.use(STAGE, remote.usage)
        for stage in remote.degraded:
            trace.degrade(stage if stage in {*STAGES, *OTHERS} else UNKNOWN_STAGE)
        text = links.only_to(frozenset(hit.url for hit in remote.sources if hit.url), remote.text)
        if text != remote.text:
            trace.withhold("link")
        yield Found(remote.sources)
        yield Token(text)
        yield Answer(text, remote.citations, remote.sources, trace, self.served_by)
