"""The ports behind breakers: a dependency that keeps failing costs a request nothing but its answer's quality."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.ports import (
        Cache,
        Delta,
        Documents,
        Expansion,
        Generator,
        Hit,
        Message,
        QueryModel,
        RemoteAnswer,
        RemoteService,
        SelfQuery,
        Vectors,
        VectorStore,
    )
    from service.resilience.breaker import Breaker


@dataclass(frozen=True, slots=True)
class GuardedStore:
    """VectorStore port."""

    inner: VectorStore
    breaker: Breaker

    async def search(
        self, vectors: Vectors, *, collections: Sequence[str], limit: int, authors: Sequence[str] | None = None
    ) -> list[list[Hit]]:
        with self.breaker.watching():
            return await self.inner.search(vectors, collections=collections, limit=limit, authors=authors)

    async def version(self) -> str:
        with self.breaker.watching(proves=False):
            return await self.inner.version()

    async def ping(self) -> None:
        await self.inner.ping()


@dataclass(frozen=True, slots=True)
class GuardedDocuments:
    """Documents port."""

    inner: Documents
    breaker: Breaker

    async def author_ids(self, name: str) -> tuple[str, ...]:
        with self.breaker.watching():
            return await self.inner.author_ids(name)

    async def ping(self) -> None:
        await self.inner.ping()


@dataclass(frozen=True, slots=True)
class GuardedQueryModel:
    """QueryModel port; both of its calls go to the same vendor."""

    inner: QueryModel
    breaker: Breaker

    async def self_query(self, query: str) -> SelfQuery:
        with self.breaker.watching():
            return await self.inner.self_query(query)

    async def expand(self, query: str, count: int) -> Expansion:
        with self.breaker.watching():
            return await self.inner.expand(query, count)


@dataclass(frozen=True, slots=True)
class GuardedGenerator:
    """Generator port; the breaker learns from the first piece of each answer, since no answer is tried again."""

    inner: Generator
    breaker: Breaker

    @property
    def model_id(self) -> str:
        return self.inner.model_id

    @property
    def context_tokens(self) -> int:
        return self.inner.context_tokens

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        with self.breaker.watching(proves=False):
            return await self.inner.count_tokens(texts)

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[Delta]:
        async with aclosing(self.inner.stream(messages, max_tokens=max_tokens)) as deltas:
            with self.breaker.watching():
                first = await anext(deltas, None)
            if first is None:
                return
            yield first
            async for delta in deltas:
                yield delta

    async def ping(self) -> None:
        await self.inner.ping()


@dataclass(frozen=True, slots=True)
class GuardedRemote:
    """RemoteService port."""

    inner: RemoteService
    breaker: Breaker

    async def ask(self, query: str, *, top_k: int, author: str | None) -> RemoteAnswer:
        with self.breaker.watching():
            return await self.inner.ask(query, top_k=top_k, author=author)

    async def ping(self) -> None:
        await self.inner.ping()


@dataclass(frozen=True, slots=True)
class GuardedCache:
    """Cache port; waiting for another's lock is no sign of a slow cache."""

    inner: Cache
    breaker: Breaker

    async def get(self, key: str) -> bytes | None:
        with self.breaker.watching():
            return await self.inner.get(key)

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        with self.breaker.watching():
            await self.inner.set(key, value, ttl_s=ttl_s)

    @asynccontextmanager
    async def lock(self, key: str, *, ttl_s: float) -> AsyncIterator[bool]:
        async with AsyncExitStack() as stack:
            with self.breaker.watching(waits=True):
                held = await stack.enter_async_context(self.inner.lock(key, ttl_s=ttl_s))
            yield held

    async def ping(self) -> None:
        await self.inner.ping()
