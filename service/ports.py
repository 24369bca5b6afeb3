"""What the pipeline needs from the world: one Protocol per need, in the pipeline's own words, no vendor type.

Every adapter of a port passes the same contract test class (tests/contract). Adapters raise `service.errors` only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]  # shape (n, dimension), rows of L2 norm 1


@dataclass(frozen=True, slots=True)
class Hit:
    """One chunk that a store found; `score` is cosine similarity, -1 to 1."""

    id: str
    collection: str
    score: float
    title: str
    url: str
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a model call was counted at; 0 where the backend did not say."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streamed generation; the last one carries `usage` and `finish_reason`."""

    text: str = ""
    usage: Usage | None = None
    finish_reason: Literal["stop", "length"] | None = None


@dataclass(frozen=True, slots=True)
class SelfQuery:
    """What the query asks to be restricted to; `author` is None where it names nobody."""

    author: str | None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Expansion:
    """Other wordings of the query, without the query itself."""

    variants: tuple[str, ...]
    usage: Usage = field(default_factory=Usage)


class Embedder(Protocol):
    """Text to unit vectors."""

    @property
    def model_id(self) -> str:
        """Names the model; part of every cache key."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed `texts` in order; shape (len(texts), dimension), float32, L2 norm 1."""
        ...


class VectorStore(Protocol):
    """Nearest chunks by cosine similarity."""

    async def search(
        self, vectors: Vectors, *, collections: Sequence[str], limit: int, authors: Sequence[str] | None = None
    ) -> list[list[Hit]]:
        """One ranked list per row of `vectors`, best first, at most `limit` each, over all `collections` together.

        `authors` restricts the result to chunks of those author ids; an empty sequence matches nothing.
        """
        ...

    async def version(self) -> str:
        """Changes whenever the content does; part of every cache key."""
        ...

    async def ping(self) -> None:
        """Raise StageUnavailable unless a search could be answered now."""
        ...


class Documents(Protocol):
    """The documents database, as far as a query needs it: who wrote what."""

    async def author_ids(self, name: str) -> tuple[str, ...]:
        """Ids of the users whose name matches, case-insensitively; empty where nobody does."""
        ...

    async def ping(self) -> None:
        """Raise StageUnavailable unless a call could be answered now."""
        ...


class QueryModel(Protocol):
    """A small model that reads the query before retrieval."""

    async def self_query(self, query: str) -> SelfQuery:
        """The author that the query asks about."""
        ...

    async def expand(self, query: str, count: int) -> Expansion:
        """Up to `count` other wordings."""
        ...


class Reranker(Protocol):
    """Relevance of texts to a query by a cross-encoder."""

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score per text, in order, higher is better; all texts in one batch."""
        ...


class Generator(Protocol):
    """A chat model."""

    @property
    def model_id(self) -> str:
        """Names the model; part of every cache key."""
        ...

    @property
    def context_tokens(self) -> int:
        """Prompt and answer together must fit in this many tokens."""
        ...

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text for this model; an upper bound where its tokenizer can't be had."""
        ...

    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[Delta]:
        """Generate; closing the iterator cancels the upstream call."""
        ...

    async def ping(self) -> None:
        """Raise StageUnavailable unless a call could be answered now."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteAnswer:
    """What another stack's /rag answered; `cost_usd` is None where it does not know its price."""

    text: str
    citations: tuple[int, ...]
    sources: tuple[Hit, ...]
    usage: Usage
    cost_usd: Decimal | None
    degraded: tuple[str, ...] = ()


class RemoteService(Protocol):
    """Another stack of this service, reached over its HTTP API."""

    async def ask(self, query: str, *, top_k: int, author: str | None) -> RemoteAnswer:
        """Its whole answer."""
        ...

    async def ping(self) -> None:
        """Raise StageUnavailable unless a call could be answered now."""
        ...


class Cache(Protocol):
    """A shared key-value store with expiry; losing it costs speed, never correctness."""

    async def get(self, key: str) -> bytes | None:
        """The value, None where there is none."""
        ...

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep `value` for `ttl_s` seconds."""
        ...

    def lock(self, key: str, *, ttl_s: float) -> AbstractAsyncContextManager[bool]:
        """Enter with True for the one holder over all processes, with False once it is done or `ttl_s` is over."""
        ...

    async def ping(self) -> None:
        """Raise StageUnavailable unless a call could be answered now."""
        ...
