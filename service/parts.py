"""Composition root: which adapter stands behind each port, from Settings; closed in reverse order.

Adapters are imported here, when a setting asks for them: a vendor client that is not used is not loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import StartupError

if TYPE_CHECKING:
    from service.ports import Cache, Documents, Embedder, Generator, QueryModel, RemoteService, Reranker, VectorStore
    from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pipeline works with; a port whose backend is not configured is None and its stage is skipped."""

    embedder: Embedder
    store: VectorStore
    documents: Documents | None = None
    query_model: QueryModel | None = None
    reranker: Reranker | None = None
    generator: Generator | None = None
    fallback: Generator | None = None
    remote: RemoteService | None = None
    cache: Cache | None = None


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Open every configured backend.

    Raises:
        StartupError: an artefact is missing or corrupt. A network backend that is down is no reason not to start.
    """
    async with AsyncExitStack() as stack:
        embedder, sha256 = await _embedder(settings, stack)
        yield Parts(
            embedder=embedder,
            store=await _store(settings, stack, embedder, sha256),
            documents=await _documents(settings),
            generator=await _generator(settings, stack),
        )


async def _embedder(settings: Settings, stack: AsyncExitStack) -> tuple[Embedder, str]:
    from service.adapters.onnx_minilm import OnnxMiniLM  # noqa: PLC0415

    embedder = await asyncio.to_thread(
        OnnxMiniLM.open,
        model=settings.embedding_model_path,
        tokenizer=settings.tokenizer_path,
        threads=settings.threads,
    )
    stack.callback(embedder.close)
    await embedder.embed(["warm up"])
    return embedder, embedder.sha256


async def _store(settings: Settings, stack: AsyncExitStack, embedder: Embedder, sha256: str) -> VectorStore:
    if settings.vector_store == "faiss" and settings.bundle_dir is not None:
        from service.adapters.faiss_index import FaissStore  # noqa: PLC0415

        store = await asyncio.to_thread(FaissStore.open, settings.bundle_dir, embedder, embedder_sha256=sha256)
        stack.callback(store.close)
        return store
    raise StartupError(f"RAG_VECTOR_STORE: {settings.vector_store} is not available")


async def _documents(settings: Settings) -> Documents | None:
    if settings.documents == "bundle" and settings.bundle_dir is not None:
        from service.adapters.faiss_index import BundleAuthors  # noqa: PLC0415

        return BundleAuthors(settings.bundle_dir)
    return None


async def _generator(settings: Settings, stack: AsyncExitStack) -> Generator | None:
    if settings.generator == "llamacpp" and settings.llamacpp_url is not None:
        from service.adapters.llamacpp import LlamaCpp  # noqa: PLC0415

        generator = LlamaCpp.open(
            settings.llamacpp_url,
            model=settings.generation_model or "llamacpp",
            context_tokens=settings.context_tokens,
            connections=settings.http_connections,
        )
        stack.push_async_callback(generator.aclose)
        return generator
    return None
