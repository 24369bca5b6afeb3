"""Qdrant as the jobs see it: points are written, compared, removed and read in bulk.

A point that the ingestion wrote says in its payload which document it belongs to, in which state (`digest`), and how
many chunks that document has. Other points are never touched. Each call is tried again for `patience_s` while Qdrant is
away: every one of them may be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import stamina
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse
from qdrant_client.models import Batch, Distance, ExtendedPointId, PayloadSchemaType, PointIdsList, VectorParams

from service.adapters.http_failure import failure
from service.adapters.qdrant import AUTHOR_ID, STAGE, refusal
from service.bundle import Chunk
from service.errors import StageUnavailable, StartupError, UpstreamThrottled

if TYPE_CHECKING:
    from pydantic import SecretStr

    from service.ports import Vectors

DOCUMENT, DIGEST, NUMBER, CHUNKS = "document", "digest", "chunk", "chunks"
UPSERT = 128  # points of one request: 1.5 MB of JSON, where Qdrant takes 32
SCROLL = 1000  # points of one answer without vectors
PAGE = 256  # and with them
TIMEOUT_S = 30.0
LONGEST_PAUSE_S = 5.0
SERVER_ERROR = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """Where Qdrant is; goes to other processes whole, so the key is in no argument."""

    url: str
    api_key: SecretStr | None
    patience_s: float


@dataclass(frozen=True, slots=True)
class Mark:
    """What a point says of itself; `document` is empty where the ingestion did not write it."""

    id: ExtendedPointId
    document: str
    digest: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Point:
    """One chunk to write."""

    chunk: Chunk
    author_id: str
    document: str
    digest: str
    number: int
    chunks: int

    def payload(self) -> dict[str, object]:
        """What the store keeps beside the vector."""
        return {
            AUTHOR_ID: self.author_id,
            "author": self.chunk.author,
            "title": self.chunk.title,
            "url": self.chunk.url,
            "text": self.chunk.text,
            DOCUMENT: self.document,
            DIGEST: self.digest,
            NUMBER: self.number,
            CHUNKS: self.chunks,
        }


class QdrantPoints:
    """Bulk access to one Qdrant, for one thread."""

    def __init__(self, client: QdrantClient, *, patience_s: float) -> None:
        self._client = client
        self._patience_s = patience_s

    @classmethod
    def open(cls, address: Address, *, timeout_s: float = TIMEOUT_S) -> Self:
        """Make the client; nothing is sent before the first call.

        Raises:
            StartupError: not a URL of a Qdrant.
        """
        key = address.api_key.get_secret_value() if address.api_key else None
        try:
            client = QdrantClient(url=address.url, api_key=key, timeout=math.ceil(timeout_s), check_compatibility=False)
        except ValueError as exc:
            raise StartupError(f"QDRANT_CLOUD_URL: {exc}") from exc
        return cls(client, patience_s=address.patience_s)

    def prepare(self, collection: str, dimension: int) -> None:
        """Make the collection and its payload index where they are not there.

        Raises:
            StartupError: it holds vectors of another shape.
        """
        if not self._call(collection, lambda: self._client.collection_exists(collection)):
            shape = VectorParams(size=dimension, distance=Distance.COSINE)
            self._call(collection, lambda: self._client.create_collection(collection, vectors_config=shape))
        self.check(collection, dimension)
        keyword = PayloadSchemaType.KEYWORD
        self._call(collection, lambda: self._client.create_payload_index(collection, AUTHOR_ID, keyword, wait=True))

    def check(self, collection: str, dimension: int) -> None:
        """Raise StartupError unless its vectors are one per point, of `dimension`, under cosine."""
        params = self._call(collection, lambda: self._client.get_collection(collection)).config.params.vectors
        if not isinstance(params, VectorParams):
            raise StartupError(f"collection {collection} has no single unnamed vector; delete it, or take another name")
        if params.size != dimension or params.distance is not Distance.COSINE:
            raise StartupError(
                f"collection {collection} holds {params.size}-D vectors under {params.distance.value}, the embedding "
                f"model makes {dimension}-D for Cosine; delete the collection, or set the model that made it"
            )

    def exists(self, collection: str) -> bool:
        """Whether there is such a collection."""
        return self._call(collection, lambda: self._client.collection_exists(collection))

    def marks(self, collection: str) -> Iterator[Mark]:
        """Every point of it, without text and vector."""
        for page in self._scroll(collection, SCROLL, payload=[DOCUMENT, DIGEST, CHUNKS], vectors=False):
            for point in page:
                said = point.payload or {}
                yield Mark(
                    point.id, str(said.get(DOCUMENT) or ""), str(said.get(DIGEST) or ""), int(said.get(CHUNKS) or 0)
                )

    def upsert(self, collection: str, points: Sequence[Point], vectors: Vectors) -> None:
        """Write points; one that is there is overwritten."""
        for start in range(0, len(points), UPSERT):
            some = points[start : start + UPSERT]
            batch = Batch(
                ids=[point.chunk.id for point in some],
                vectors=vectors[start : start + UPSERT].tolist(),
                payloads=[point.payload() for point in some],
            )
            self._call(collection, lambda batch=batch: self._client.upsert(collection, batch, wait=True))  # type: ignore[misc]

    def remove(self, collection: str, ids: Sequence[ExtendedPointId]) -> None:
        """Delete points."""
        for start in range(0, len(ids), SCROLL):
            some = PointIdsList(points=list(ids[start : start + SCROLL]))
            self._call(collection, lambda some=some: self._client.delete(collection, some, wait=True))  # type: ignore[misc]

    def count(self, collection: str) -> int:
        """Exact number of its points."""
        return self._call(collection, lambda: self._client.count(collection, exact=True)).count

    def stamp(self, collection: str, facts: Mapping[str, str]) -> None:
        """Note `facts` in the collection's metadata: a cache of answers sees by them that the content has changed."""
        self._call(collection, lambda: self._client.update_collection(collection, metadata=dict(facts)))

    def pages(self, collection: str) -> Iterator[tuple[list[Chunk], Vectors]]:
        """Every point with its vector, in the order of ids."""
        fields = ["author", "title", "url", "text"]
        for page in self._scroll(collection, PAGE, payload=fields, vectors=True):
            yield [_chunk(collection, point) for point in page], _vectors(collection, page)

    def chunks(self, collection: str, ids: Sequence[ExtendedPointId]) -> list[Chunk]:
        """The texts of some points."""
        if not ids:
            return []
        found = self._call(collection, lambda: self._client.retrieve(collection, list(ids), with_payload=True))
        return [_chunk(collection, point) for point in found]

    def vectors(self, collection: str, ids: Sequence[ExtendedPointId]) -> dict[str, Vectors]:
        """The vectors of some points, by id."""
        found = self._call(
            collection, lambda: self._client.retrieve(collection, list(ids), with_payload=False, with_vectors=True)
        )
        return dict(zip((str(point.id) for point in found), _vectors(collection, found), strict=True))

    def close(self) -> None:
        """Close the pool."""
        self._client.close()

    def _scroll(self, collection: str, limit: int, *, payload: list[str], vectors: bool) -> Iterator[list[Any]]:
        offset: Any = None
        while True:
            page, offset = self._call(
                collection,
                lambda offset=offset: self._client.scroll(  # type: ignore[misc]
                    collection, limit=limit, offset=offset, with_payload=payload, with_vectors=vectors
                ),
            )
            yield page
            if offset is None:
                return

    def _call(self, collection: str, call: Callable[[], T]) -> T:
        with _translated(collection):
            for attempt in stamina.retry_context(
                on=_passes, attempts=None, timeout=self._patience_s, wait_initial=0.2, wait_max=LONGEST_PAUSE_S
            ):
                with attempt:
                    return call()
        raise AssertionError  # the loop above returns or raises


@contextmanager
def _translated(collection: str) -> Iterator[None]:
    try:
        yield
    except ResourceExhaustedResponse as exc:
        raise UpstreamThrottled(STAGE, "Qdrant limits this key", retry_after_s=float(exc.retry_after_s)) from exc
    except UnexpectedResponse as exc:
        raise StageUnavailable(STAGE, refusal(exc.status_code or 0, collection)) from exc
    except ApiException as exc:
        cause = getattr(exc, "source", exc)
        raise failure(STAGE, f"Qdrant gave no answer ({type(cause).__name__}); is it up?", cause) from exc
    except ValueError as exc:  # what a proxy says in its place is not JSON
        raise StageUnavailable(STAGE, f"what answers for collection {collection} is no Qdrant") from exc


def _passes(exc: Exception) -> bool:
    """Whether the same call may well succeed later."""
    if isinstance(exc, UnexpectedResponse):
        return (exc.status_code or 0) >= SERVER_ERROR
    return isinstance(exc, ResponseHandlingException | ResourceExhaustedResponse)


def _chunk(collection: str, point: Any) -> Chunk:  # noqa: ANN401 - a record of the client
    said = {name: str((point.payload or {}).get(name) or "") for name in ("author", "title", "url", "text")}
    return Chunk(id=str(point.id), collection=collection, **said)


def _vectors(collection: str, points: Sequence[Any]) -> Vectors:
    try:
        return np.array([point.vector for point in points], np.float32)
    except (TypeError, ValueError) as exc:
        raise StageUnavailable(STAGE, f"collection {collection} has points without a plain vector") from exc
