"""Qdrant: one batched REST request per collection for all vectors, the collections concurrently.

A point's id is the chunk's id. Its payload holds `author_id` (what a filter matches), `author`, `title`, `url` and
`text`; where there is no users database, the ingestion writes the author's name into both author fields.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Self

import httpx
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse
from qdrant_client.models import (
    CollectionInfo,
    Distance,
    FieldCondition,
    Filter,
    MatchAny,
    QueryRequest,
    ScoredPoint,
    VectorParams,
)

from service.adapters.http_failure import failure
from service.errors import StageUnavailable, StartupError, UpstreamThrottled
from service.ports import Hit

if TYPE_CHECKING:
    from pydantic import SecretStr

    from service.ports import Vectors

STAGE = "retrieval"
AUTHOR_ID = "author_id"
FETCHED = ["author", "title", "url", "text"]
VERSION_S = 5.0  # how long a changed index may still be answered from the cache


class QdrantStore:
    """VectorStore port over one Qdrant; `collections` are those whose state makes up the version."""

    def __init__(self, client: AsyncQdrantClient, *, collections: Sequence[str], dimension: int) -> None:
        self._client = client
        self._collections = tuple(collections)
        self._dimension = dimension
        self._versioning = asyncio.Lock()
        self._version = ""
        self._version_ends = 0.0

    @classmethod
    def open(
        cls,
        url: str,
        *,
        api_key: SecretStr | None,
        collections: Sequence[str],
        dimension: int,
        connections: int,
        timeout_s: float,
    ) -> Self:
        """Make the client; nothing is sent before the first call.

        Raises:
            StartupError: not a URL of a Qdrant.
        """
        try:
            client = AsyncQdrantClient(
                url=url,
                api_key=api_key.get_secret_value() if api_key else None,
                timeout=math.ceil(timeout_s),
                # Given explicitly: for a local address the client turns keep-alive off otherwise.
                limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
                check_compatibility=False,  # would ask the server from a thread of its own, before the first request
            )
        except ValueError as exc:
            raise StartupError(f"QDRANT_CLOUD_URL: {exc}") from exc
        return cls(client, collections=collections, dimension=dimension)

    async def search(
        self, vectors: Vectors, *, collections: Sequence[str], limit: int, authors: Sequence[str] | None = None
    ) -> list[list[Hit]]:
        if len(vectors) == 0 or (authors is not None and not authors):
            return [[] for _ in vectors]
        wanted = None
        if authors is not None:
            wanted = Filter(must=[FieldCondition(key=AUTHOR_ID, match=MatchAny(any=list(authors)))])
        requests = [
            QueryRequest(query=vector, limit=limit, filter=wanted, with_payload=FETCHED) for vector in vectors.tolist()
        ]
        found = await asyncio.gather(*(self._search(name, requests) for name in collections))
        return [
            sorted(chain.from_iterable(lists), key=lambda hit: hit.score, reverse=True)[:limit]
            for lists in zip(*found, strict=True)
        ]

    async def version(self) -> str:
        """Hash of what Qdrant says about the collections, asked at most every VERSION_S seconds.

        A point that is overwritten in place need not show in it; an ingestion that does so writes a new value into the
        collection's metadata, which does.
        """
        async with self._versioning:
            if time.monotonic() >= self._version_ends:
                states = [_state(info) for info in await self._infos()]
                self._version = hashlib.sha256(json.dumps(states, sort_keys=True).encode()).hexdigest()[:16]
                self._version_ends = time.monotonic() + VERSION_S
            return self._version

    async def ping(self) -> None:
        """Raise StageUnavailable unless every collection exists and holds vectors of this dimension under cosine."""
        for name, info in zip(self._collections, await self._infos(), strict=True):
            params = info.config.params.vectors
            if not isinstance(params, VectorParams):
                raise StageUnavailable(STAGE, f"collection {name} has no single unnamed vector; ingest it again")
            if params.distance is not Distance.COSINE or params.size != self._dimension:
                raise StageUnavailable(
                    STAGE,
                    f"collection {name} holds {params.size}-D vectors under {params.distance.value}, the embedder "
                    f"needs {self._dimension}-D under Cosine; ingest it again",
                )

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.close()

    async def _search(self, collection: str, requests: Sequence[QueryRequest]) -> list[list[Hit]]:
        with translated(collection):
            responses = await self._client.query_batch_points(collection, requests)
        return [[_hit(collection, point) for point in response.points] for response in responses]

    async def _infos(self) -> list[CollectionInfo]:
        return list(await asyncio.gather(*(self._info(name) for name in self._collections)))

    async def _info(self, collection: str) -> CollectionInfo:
        with translated(collection):
            return await self._client.get_collection(collection)


def _hit(collection: str, point: ScoredPoint) -> Hit:
    payload = point.payload or {}
    fields = {name: str(payload.get(name) or "") for name in FETCHED}
    return Hit(id=str(point.id), collection=collection, score=point.score, **fields)


def _state(info: CollectionInfo) -> dict[str, object]:
    counts = {"points": info.points_count, "indexed": info.indexed_vectors_count, "segments": info.segments_count}
    return {**counts, "config": info.config.model_dump(mode="json")}


@contextmanager
def translated(collection: str) -> Iterator[None]:
    """Raise the client's errors as the service's own."""
    try:
        yield
    except ResourceExhaustedResponse as exc:
        raise UpstreamThrottled(STAGE, "Qdrant limits this key", retry_after_s=float(exc.retry_after_s)) from exc
    except UnexpectedResponse as exc:
        raise StageUnavailable(STAGE, _refusal(exc.status_code or 0, collection)) from exc
    except ApiException as exc:
        cause = getattr(exc, "source", exc)
        raise failure(STAGE, f"Qdrant gave no answer ({type(cause).__name__}); is it up?", cause) from exc
    except ValueError as exc:  # what a proxy says in its place is not JSON
        raise StageUnavailable(STAGE, f"what answers for collection {collection} is no Qdrant") from exc


def _refusal(status: int, collection: str) -> str:
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return f"Qdrant refused the key ({status}); set QDRANT_APIKEY to a key for {collection}"
    if status == httpx.codes.NOT_FOUND:
        return f"collection {collection} does not exist; ingest it, or take it out of RAG_COLLECTIONS"
    return f"Qdrant answered {status} for collection {collection}"
