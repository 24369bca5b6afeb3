"""What the pipeline takes and gives: a question, and the events of its answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from service.ports import Hit
    from service.rag.spending import Account
    from service.rag.trace import Trace
    from service.resilience import Deadline

ServedBy = Literal["edge", "cloud"]


@dataclass(frozen=True, slots=True)
class Question:
    """A validated request.

    Attributes:
        author: a filter that the caller asked for.
        tenant: who may share the answer.
        account: whose money it spends, where that is limited.
    """

    text: str
    top_k: int
    author: str | None = None
    max_tokens: int | None = None
    tenant: str = ""
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer; citation n refers to `sources[n - 1]`."""

    text: str
    citations: tuple[int, ...]
    sources: tuple[Hit, ...]
    trace: Trace
    served_by: ServedBy
    finish_reason: Literal["stop", "length"] = "stop"
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """First event: the sources that the answer will be made from."""

    sources: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer as the model wrote it; the last event carries the checked text."""

    text: str


Event = Found | Token | Answer
Events = AsyncGenerator[Event]


class Answerer(Protocol):
    """Makes the events of one answer from a question and the chunks that the edge or the cloud found for it."""

    @property
    def served_by(self) -> ServedBy:
        """Who answers."""
        ...

    def run(self, question: Question, hits: Sequence[Hit], trace: Trace, deadline: Deadline) -> Events:
        """Found, Tokens, Answer; closing the generator cancels upstream work."""
        ...

    def expected_s(self) -> float:
        """Seconds until an answer that starts now is complete; 0 where that is not known."""
        ...

    async def too_long(self, question: Question, deadline: Deadline) -> str | None:
        """Why the question does not fit the model; None where it does, or where that can't be said."""
        ...

    def most_usd(self, question: Question) -> Decimal:
        """What an answer can cost at most."""
        ...
