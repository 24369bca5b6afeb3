"""Backends that a test scripts: what a stage returns, how long it takes, whether it fails.

They stand in where the question is what the pipeline does with a backend, not what the backend does; adapters are
tested against real processes in tests/contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.ports import Delta, Expansion, Hit, Message, SelfQuery, Usage, Vectors


def hit(name: str = "a", *, score: float = 0.8, text: str = "Supervisor controls processes.", **fields: str) -> Hit:
    known = {"collection": "repos", "title": name, "url": f"https://example.org/{name}", "author": "ada"} | fields
    return Hit(id=name, score=score, text=text, **known)


@dataclass
class FakeEmbedder:
    model_id: str = "fake"
    dimension: int = 3
    error: Exception | None = None
    seen: list[list[str]] = field(default_factory=list)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.seen.append(list(texts))
        if self.error:
            raise self.error
        return np.tile(np.array([1, 0, 0], np.float32), (len(texts), 1))


@dataclass
class FakeStore:
    hits: list[Hit] = field(default_factory=lambda: [hit()])
    error: Exception | None = None
    delay_s: float = 0.0
    calls: list[dict[str, object]] = field(default_factory=list)

    async def search(
        self, vectors: Vectors, *, collections: Sequence[str], limit: int, authors: Sequence[str] | None = None
    ) -> list[list[Hit]]:
        self.calls.append({"n": len(vectors), "collections": tuple(collections), "limit": limit, "authors": authors})
        await asyncio.sleep(self.delay_s)
        if self.error:
            raise self.error
        return [self.hits[:limit] for _ in vectors]

    async def version(self) -> str:
        return "v1"

    async def ping(self) -> None:
        if self.error:
            raise self.error


@dataclass
class FakeDocuments:
    ids: dict[str, tuple[str, ...]] = field(default_factory=dict)
    error: Exception | None = None

    async def author_ids(self, name: str) -> tuple[str, ...]:
        if self.error:
            raise self.error
        return self.ids.get(name, ())

    async def ping(self) -> None:
        if self.error:
            raise self.error


@dataclass
class FakeQueryModel:
    author: str | None = None
    variants: tuple[str, ...] = ()
    error: Exception | None = None
    delay_s: float = 0.0
    calls: int = 0

    async def self_query(self, query: str) -> SelfQuery:
        await self._act()
        return SelfQuery(self.author, Usage(10, 2))

    async def expand(self, query: str, count: int) -> Expansion:
        await self._act()
        return Expansion(self.variants[:count], Usage(20, 5))

    async def _act(self) -> None:
        self.calls += 1
        await asyncio.sleep(self.delay_s)
        if self.error:
            raise self.error


@dataclass
class FakeReranker:
    scores: dict[str, float] = field(default_factory=dict)
    error: Exception | None = None
    batches: list[list[str]] = field(default_factory=list)

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        self.batches.append(list(texts))
        if self.error:
            raise self.error
        return [self.scores.get(text, 0.0) for text in texts]


@dataclass
class FakeGenerator:
    pieces: Sequence[str] = ("Supervisor ", "controls ", "processes ", "[1].")
    error_after: int | None = None
    error: Exception | None = None
    delay_s: float = 0.0
    model_id: str = "fake-llm"
    context_tokens: int = 2048
    prompts: list[Sequence[Message]] = field(default_factory=list)
    calls: int = 0
    closed: int = 0

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[Delta]:
        self.prompts.append(messages)
        self.calls += 1
        try:
            for n, piece in enumerate(self.pieces):
                await asyncio.sleep(self.delay_s)
                if self.error and n == (self.error_after or 0):
                    raise self.error
                yield Delta(piece)
            yield Delta(usage=Usage(100, len(self.pieces)), finish_reason="stop")
        finally:
            self.closed += 1

    async def ping(self) -> None:
        if self.error:
            raise self.error
