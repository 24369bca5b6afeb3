"""Composition root: which adapter stands behind each port, from Settings; closed in reverse order.

Adapters are imported here, when a setting asks for them: a vendor client that is not used is not loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import StartupError
from service.renewals import Renewals
from service.resilience import Breakers
from service.resilience.budgets import GenerationBudget, cache_s, lookup_s
from service.resilience.guarded import (
    GuardedCache,
    GuardedDocuments,
    GuardedGenerator,
    GuardedQueryModel,
    GuardedRemote,
    GuardedStore,
)

if TYPE_CHECKING:
    from service.bundle import Manifest
    from service.ports import Cache, Documents, Embedder, Generator, QueryModel, RemoteService, Reranker, VectorStore
    from service.resilience import SwitchSource
    from service.settings import Settings

SSM = "ssm:"

# Told by whom OpenAI was asked, and how much of what it says is left.
Quota = Callable[[str, str, float], None]
# Told which bundle serves from now on.
BundleTold = Callable[[str, "Manifest"], None]


def _unheard(*_: object) -> None:
    """Nobody wants to know."""


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
    switches: SwitchSource | None = None
    breakers: Breakers = field(default_factory=Breakers)


@dataclass(frozen=True, slots=True)
class Models:
    """What is loaded into this process, and needs no network: it outlives a snapshot.

    Attributes:
        sha256: of the embedder's weights.
    """

    embedder: Embedder
    sha256: str
    reranker: Reranker | None


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncIterator[Models]:
    """Load the embedder and the reranker.

    Raises:
        StartupError: an artefact is missing or corrupt.
    """
    async with AsyncExitStack() as stack:
        embedder, sha256 = await _embedder(settings, stack)
        yield Models(embedder, sha256, await _reranker(settings, stack))


@asynccontextmanager
async def open_parts(
    settings: Settings,
    quota: Quota = _unheard,
    bundle: BundleTold = _unheard,
    renewals: Renewals | None = None,
    models: Models | None = None,
) -> AsyncIterator[Parts]:
    """Open every configured backend; those with a secret through `renewals`, which opens them anew.

    `models` that are loaded already stay the caller's.

    Raises:
        StartupError: an artefact is missing or corrupt. A network backend that is down is no reason not to start.
    """
    async with AsyncExitStack() as stack:
        loaded = models
        if loaded is None:
            loaded = await stack.enter_async_context(open_models(settings))
        breakers = Breakers()
        renewals = renewals or Renewals(linger_s=settings.deadline_s)
        yield Parts(
            embedder=loaded.embedder,
            store=await _store(settings, stack, breakers, renewals, (loaded.embedder, loaded.sha256), bundle),
            documents=await _documents(settings, stack, breakers, renewals),
            query_model=await _query_model(settings, stack, breakers, renewals, quota),
            reranker=loaded.reranker,
            generator=await _generator(settings, stack, breakers, renewals, quota),
            fallback=await _fallback(settings, stack, breakers),
            remote=await _remote(settings, stack, breakers),
            cache=await _cache(settings, stack, breakers, renewals),
            switches=_switches(settings),
            breakers=breakers,
        )


async def _embedder(settings: Settings, stack: AsyncExitStack) -> tuple[Embedder, str]:
    if settings.embedder == "sentence-transformers":
        from service.adapters.onnx_minilm import MODEL_ID  # noqa: PLC0415
        from service.adapters.sentence_transformer import SentenceTransformerEmbedder  # noqa: PLC0415

        model = str(settings.embedding_model_path or MODEL_ID)
        reference = await asyncio.to_thread(SentenceTransformerEmbedder.open, model)
        stack.callback(reference.close)
        return reference, reference.sha256
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


async def _store(
    settings: Settings,
    stack: AsyncExitStack,
    breakers: Breakers,
    renewals: Renewals,
    embedding: tuple[Embedder, str],
    told: BundleTold,
) -> VectorStore:
    embedder, sha256 = embedding
    if settings.vector_store == "faiss" and settings.bundle_dir is not None:
        from service.adapters.live_bundle import LiveBundle  # noqa: PLC0415

        opening = LiveBundle.open(
            settings.bundle_dir, embedder, embedder_sha256=sha256, every_s=settings.bundle_check_s, told=told
        )
        return await stack.enter_async_context(opening)
    if settings.qdrant_url is None:
        raise StartupError("QDRANT_CLOUD_URL is required by RAG_VECTOR_STORE=qdrant")
    from service.adapters.qdrant import QdrantStore  # noqa: PLC0415

    open_ = partial(
        QdrantStore.open,
        settings.qdrant_url,
        collections=settings.collections,
        dimension=embedder.dimension,
        connections=settings.qdrant_connections,
        timeout_s=settings.search_timeout_s,
    )
    store = renewals.open("qdrant_api_key", settings.qdrant_api_key, lambda key: open_(api_key=key))
    stack.push_async_callback(store.aclose)
    return GuardedStore(store, breakers.add("qdrant", stage="retrieval", limit_s=settings.search_timeout_s))


async def _documents(
    settings: Settings, stack: AsyncExitStack, breakers: Breakers, renewals: Renewals
) -> Documents | None:
    if settings.documents == "bundle" and settings.bundle_dir is not None:
        from service.adapters.faiss_index import BundleAuthors  # noqa: PLC0415

        return BundleAuthors(settings.bundle_dir)
    if settings.documents == "mongo" and settings.mongo_url is not None:
        from service.adapters.mongo import MongoDocuments  # noqa: PLC0415

        open_ = partial(
            MongoDocuments.open,
            database=settings.mongo_database,
            connections=settings.mongo_connections,
            timeout_s=settings.mongo_timeout_s,
        )
        documents = renewals.open("mongo_url", settings.mongo_url, open_)
        stack.push_async_callback(documents.aclose)
        return GuardedDocuments(documents, breakers.add("mongo", stage="documents", limit_s=lookup_s(settings)))
    return None


async def _query_model(
    settings: Settings, stack: AsyncExitStack, breakers: Breakers, renewals: Renewals, quota: Quota
) -> QueryModel | None:
    if settings.query_model == "none" or settings.openai_api_key is None:
        return None
    from service.adapters import openai_models  # noqa: PLC0415

    client = partial(
        openai_models.open_client,
        base_url=settings.openai_base_url,
        connections=settings.http_connections,
        read_timeout_s=settings.query_model_timeout_s,
        quota=partial(quota, "query-model"),
    )
    name = settings.openai_model_id
    model = renewals.open(
        "openai_api_key",
        settings.openai_api_key,
        lambda key: openai_models.OpenAIQueryModel(client(api_key=key), model=name),
    )
    stack.push_async_callback(model.aclose)
    limit_s = settings.query_model_timeout_s
    return GuardedQueryModel(model, breakers.add("query-model", stage="query_model", limit_s=limit_s))


async def _reranker(settings: Settings, stack: AsyncExitStack) -> Reranker | None:
    if settings.reranker == "none" or settings.reranker_model is None:
        return None
    if settings.reranker == "sentence-transformers":
        from service.adapters.sentence_transformer import SentenceTransformerReranker  # noqa: PLC0415

        reference = await asyncio.to_thread(SentenceTransformerReranker.open, settings.reranker_model)
        stack.callback(reference.close)
        return reference
    from service.adapters.cross_encoder import OnnxCrossEncoder  # noqa: PLC0415

    folder = (settings.reranker_root or Path()) / settings.reranker_model  # an absolute path is itself
    reranker = await asyncio.to_thread(OnnxCrossEncoder.open, folder, threads=settings.threads)
    stack.callback(reranker.close)
    await reranker.score("warm up", ["warm up"])
    return reranker


async def _generator(
    settings: Settings, stack: AsyncExitStack, breakers: Breakers, renewals: Renewals, quota: Quota
) -> Generator | None:
    generator = await _own_generator(settings, stack, renewals, quota)
    if generator is None:
        return None
    limit_s = GenerationBudget.of_generator(settings).first_token_s
    return GuardedGenerator(generator, breakers.add("generator", stage="generation", limit_s=limit_s))


async def _own_generator(
    settings: Settings, stack: AsyncExitStack, renewals: Renewals, quota: Quota
) -> Generator | None:
    if settings.generator == "sagemaker":
        return await _sagemaker(settings, stack, model=settings.generation_model)
    if settings.generator == "openai" and settings.openai_api_key is not None:
        from service.adapters import openai_models  # noqa: PLC0415

        client = partial(
            openai_models.open_client,
            base_url=settings.openai_base_url,
            connections=settings.http_connections,
            read_timeout_s=settings.deadline_s,
            quota=partial(quota, "generator"),
        )
        open_ = partial(
            openai_models.OpenAIGenerator,
            model=settings.generation_model or settings.openai_model_id,
            context_tokens=settings.context_tokens,
        )
        vendor = renewals.open("openai_api_key", settings.openai_api_key, lambda key: open_(client(api_key=key)))
        stack.push_async_callback(vendor.aclose)
        return vendor
    if settings.generator == "llamacpp" and settings.llamacpp_url is not None:
        from service.adapters.llamacpp import LlamaCpp  # noqa: PLC0415

        generator = LlamaCpp.open(
            settings.llamacpp_url,
            model=settings.generation_model or "llamacpp",
            context_tokens=settings.context_tokens,
            connections=settings.http_connections,
            read_timeout_s=settings.deadline_s,
        )
        stack.push_async_callback(generator.aclose)
        return generator
    return None


async def _fallback(settings: Settings, stack: AsyncExitStack, breakers: Breakers) -> Generator | None:
    """The endpoint's own name is its model: `generation_model` names what the edge runs."""
    if settings.fallback != "sagemaker":
        return None
    endpoint = await _sagemaker(settings, stack, model=None)
    limit_s = GenerationBudget.of_vendor(settings).first_token_s
    return GuardedGenerator(endpoint, breakers.add("fallback", stage="generation", limit_s=limit_s))


async def _sagemaker(settings: Settings, stack: AsyncExitStack, *, model: str | None) -> Generator:
    from service.adapters.sagemaker import SageMaker  # noqa: PLC0415

    if settings.sagemaker_endpoint is None:
        raise StartupError("SAGEMAKER_ENDPOINT_INFERENCE is required by a SageMaker generator or fallback")
    # In a thread: finding credentials may ask the container's or the instance's metadata server.
    endpoint = await asyncio.to_thread(
        SageMaker.open,
        endpoint=settings.sagemaker_endpoint,
        component=settings.sagemaker_component,
        engine=settings.sagemaker_engine,
        model=model,
        context_tokens=settings.context_tokens,
        region=settings.aws_region,
        connections=settings.http_connections,
        read_timeout_s=settings.deadline_s,
    )
    stack.push_async_callback(endpoint.aclose)
    return endpoint


async def _remote(settings: Settings, stack: AsyncExitStack, breakers: Breakers) -> RemoteService | None:
    if settings.fallback != "service" or settings.fallback_url is None:
        return None
    from service.access.bearer import Bearer  # noqa: PLC0415
    from service.access.kept import reader  # noqa: PLC0415
    from service.adapters.service_url import ServiceUrl  # noqa: PLC0415

    kept = settings.fallback_api_key_from
    remote = ServiceUrl.open(
        settings.fallback_url,
        bearer=Bearer(reader(kept, "RAG_FALLBACK_API_KEY_FROM")) if kept else None,
        api_key=settings.fallback_api_key,
        connections=settings.http_connections,
        read_timeout_s=settings.deadline_s,
    )
    stack.push_async_callback(remote.aclose)
    return GuardedRemote(remote, breakers.add("remote", stage="generation", limit_s=settings.deadline_s))


async def _cache(settings: Settings, stack: AsyncExitStack, breakers: Breakers, renewals: Renewals) -> Cache | None:
    if settings.cache == "memory":
        from service.adapters.memory import MemoryCache  # noqa: PLC0415

        return MemoryCache(entries=settings.cache_entries)
    if settings.cache == "redis" and settings.redis_url is not None:
        from service.adapters.redis_cache import RedisCache  # noqa: PLC0415

        open_ = partial(RedisCache.open, connections=settings.redis_connections, timeout_s=settings.redis_timeout_s)
        cache = renewals.open("redis_url", settings.redis_url, open_)
        stack.push_async_callback(cache.aclose)
        return GuardedCache(cache, breakers.add("redis", stage="cache", limit_s=cache_s(settings)))
    return None


def _switches(settings: Settings) -> SwitchSource | None:
    where = settings.switches_from
    if where is None:
        return None
    if where.startswith(SSM):
        from service.adapters.ssm_parameter import SsmParameter  # noqa: PLC0415

        return SsmParameter.open(where.removeprefix(SSM), region=settings.aws_region)
    from service.adapters.switch_file import SwitchFile  # noqa: PLC0415

    return SwitchFile(Path(where))
