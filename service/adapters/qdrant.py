"""Qdrant: one batched REST request per collection for all vectors, the collections concurrently.

Plain HTTP: the official client, which the jobs use, builds 0.6 CPU seconds of models before the first request.

A point's id is the chunk's id. Its payload holds `author_id` (what a filter matches), `author`, `title`, `url` and
`text`; where there is no users database, the ingestion writes the author's name into both author fields.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, Field, ValidationError

from service.adapters.http_failure import failure
from service.errors import StageUnavailable, StartupError, UpstreamThrottled
from service.ports import Hit

if TYPE_CHECKING:
    from pydantic import SecretStr

    from service.ports import Vectors

STAGE = "retrieval"
AUTHOR_ID = "author_id"
FETCHED = ["author", "title", "url", "text"]
PORT = 6333  # where an address names none, as the official client has it
VERSION_S = 5.0  # how long a changed index may still be answered from the cache


class _Point(BaseModel):
    id: int | str
    score: Annotated[float, Field(allow_inf_nan=False)]
    payload: dict[str, Any] | None = None


class _Points(BaseModel):
    points: list[_Point]


class _Searched(BaseModel):
    result: list[_Points]


class _Info(BaseModel):
    config: dict[str, Any]
    points_count: int | None = None
    indexed_vectors_count: int | None = None
    segments_count: int


class _Described(BaseModel):
    result: _Info


T = TypeVar("T", bound=BaseModel)


class QdrantStore:
    """VectorStore port over one Qdrant; `collections` are those whose state makes up the version."""

    def __init__(self, client: httpx.AsyncClient, *, collections: Sequence[str], dimension: int) -> None:
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
        client = httpx.AsyncClient(
            base_url=_address(url),
            headers={"api-key": api_key.get_secret_value()} if api_key else {},
            timeout=math.ceil(timeout_s),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
        return cls(client, collections=collections, dimension=dimension)

    async def search(
        self, vectors: Vectors, *, collections: Sequence[str], limit: int, authors: Sequence[str] | None = None
    ) -> list[list[Hit]]:
        if len(vectors) == 0 or (authors is not None and not authors):
            return [[] for _ in vectors]
        asked: dict[str, object] = {"limit": limit, "with_payload": FETCHED}
        if authors is not None:
            asked["filter"] = {"must": [{"key": AUTHOR_ID, "match": {"any": list(authors)}}]}
        requests = [{"query": vector, **asked} for vector in vectors.tolist()]
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
            size, distance = _single(info)
            if size is None:
                raise StageUnavailable(STAGE, f"collection {name} has no single unnamed vector; ingest it again")
            if distance != "Cosine" or size != self._dimension:
                raise StageUnavailable(
                    STAGE,
                    f"collection {name} holds {size}-D vectors under {distance}, the embedder "
                    f"needs {self._dimension}-D under Cosine; ingest it again",
                )

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.aclose()

    async def _search(self, collection: str, requests: Sequence[Mapping[str, object]]) -> list[list[Hit]]:
        found = await self._sent("POST", collection, "/points/query/batch", _Searched, {"searches": requests})
        if len(found.result) != len(requests):
            raise StageUnavailable(STAGE, _no_qdrant(collection))
        return [[_hit(collection, point) for point in answer.points] for answer in found.result]

    async def _infos(self) -> list[_Info]:
        described = (self._sent("GET", name, "", _Described) for name in self._collections)
        return [each.result for each in await asyncio.gather(*described)]

    async def _sent(self, method: str, collection: str, call: str, answer: type[T], body: object = None) -> T:
        try:
            response = await self._client.request(method, f"/collections/{quote(collection, safe='')}{call}", json=body)
        except httpx.HTTPError as exc:
            raise failure(STAGE, f"Qdrant gave no answer ({type(exc).__name__}); is it up?", exc) from exc
        wait_s = response.headers.get("Retry-After", "")
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS and wait_s.isdecimal():
            raise UpstreamThrottled(STAGE, "Qdrant limits this key", retry_after_s=float(wait_s))
        if not response.is_success:
            raise StageUnavailable(STAGE, refusal(response.status_code, collection))
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as exc:  # what a proxy says in its place
            raise StageUnavailable(STAGE, _no_qdrant(collection)) from exc


def _address(url: str) -> httpx.URL:
    """With Qdrant's own port where it names none.

    Raises:
        StartupError: not a URL of a Qdrant.
    """
    try:
        named = urlsplit(url).port  # httpx drops a port that is the scheme's own
        address = httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as exc:
        raise StartupError(f"QDRANT_CLOUD_URL: {exc}") from exc
    if address.scheme not in {"http", "https"} or not address.host:
        raise StartupError("QDRANT_CLOUD_URL: no URL of a Qdrant; give http(s)://host:6333")
    return address if named else address.copy_with(port=PORT)


def _single(info: _Info) -> tuple[int | None, str]:
    """Size and distance of the one unnamed vector; no size where a collection has named ones, or none."""
    params = info.config.get("params")
    vectors = params.get("vectors") if isinstance(params, dict) else None
    size, distance = (vectors.get("size"), vectors.get("distance")) if isinstance(vectors, dict) else (None, None)
    return (size if isinstance(size, int) else None), str(distance)


def _hit(collection: str, point: _Point) -> Hit:
    payload = point.payload or {}
    fields = {name: str(payload.get(name) or "") for name in FETCHED}
    return Hit(id=str(point.id), collection=collection, score=point.score, **fields)


def _state(info: _Info) -> dict[str, object]:
    counts = {"points": info.points_count, "indexed": info.indexed_vectors_count, "segments": info.segments_count}
    return {**counts, "config": info.config}


def _no_qdrant(collection: str) -> str:
    return f"what answers for collection {collection} is no Qdrant"


def refusal(status: int, collection: str) -> str:
    """What an answer of this status means, and the setting that corrects it."""
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return f"Qdrant refused the key ({status}); set QDRANT_APIKEY to a key for {collection}"
    if status == httpx.codes.NOT_FOUND:
        return f"collection {collection} does not exist; ingest it, or take it out of RAG_COLLECTIONS"
    return f"Qdrant answered {status} for collection {collection}"
