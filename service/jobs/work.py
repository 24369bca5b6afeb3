"""The heavy part of an ingestion: documents are cut, embedded and, where the index is a server, written.

One unit of work is a few documents. It runs in this process, in worker processes or on a Ray cluster; what it needs is
a `Recipe`, which travels, and what it returns is small where the vectors went to a server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from service.adapters.onnx_minilm import OnnxMiniLM
from service.adapters.qdrant_points import Address, Point, QdrantPoints
from service.adapters.splitter import CHUNK_TOKENS, OVERLAP_TOKENS, Splitter
from service.jobs.ledger import State

if TYPE_CHECKING:
    from service.bundle import Chunk
    from service.jobs.corpus import Document
    from service.ports import Vectors

LAYOUT = 1  # of payload and texts; another number makes every document be written again
UNIT_CHARS = 48 * 1024  # some 90 chunks: two seconds of one core, and enough for batches of one length
UNIT_DOCUMENTS = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """How documents become points.

    Attributes:
        most_chunks: of one document; None for no limit.
        qdrant: where the worker writes them; None where it hands them back.
    """

    threads: int
    model: Path | None = None
    tokenizer: Path | None = None
    most_chunks: int | None = None
    qdrant: Address | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """One document in chunks."""

    collection: str
    key: str
    state: State


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a unit; `points` and `vectors` are empty where the worker wrote them itself."""

    cuts: list[Cut] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    vectors: Vectors | None = None


class Worker:
    """One embedder and, where points go to a server, one connection to it."""

    def __init__(self, recipe: Recipe, embedder: OnnxMiniLM) -> None:
        self._recipe = recipe
        self._embedder = embedder
        self._splitter = Splitter(embedder.tokenizer)
        self._qdrant = QdrantPoints.open(recipe.qdrant) if recipe.qdrant else None

    @classmethod
    @contextmanager
    def opened(cls, recipe: Recipe) -> Iterator[Self]:
        """Load the model; closed after the block."""
        worker = cls(recipe, OnnxMiniLM.open(model=recipe.model, tokenizer=recipe.tokenizer, threads=recipe.threads))
        try:
            yield worker
        finally:
            worker.close()

    def do(self, documents: Sequence[Document]) -> Done:
        """Cut, embed and write one unit."""
        done = Done()
        for document in documents:
            chunks = self._splitter.split(document)[: self._recipe.most_chunks]
            state = State(digest(document, self._embedder.sha256, self._recipe.most_chunks), len(chunks))
            done.cuts.append(Cut(document.collection, document.key, state))
            done.points.extend(
                Point(chunk, document.author_id or document.author, document.key, state.digest, number, len(chunks))
                for number, chunk in enumerate(chunks)
            )
        vectors = self._embedder.embed_now([embedded(point.chunk) for point in done.points])
        if self._qdrant is None:
            return Done(done.cuts, done.points, vectors)
        for collection in dict.fromkeys(point.chunk.collection for point in done.points):
            rows = [row for row, point in enumerate(done.points) if point.chunk.collection == collection]
            self._qdrant.upsert(collection, [done.points[row] for row in rows], np.ascontiguousarray(vectors[rows]))
        return Done(done.cuts)

    def close(self) -> None:
        """Let go of model and connection."""
        self._embedder.close()
        if self._qdrant is not None:
            self._qdrant.close()


def embedded(chunk: Chunk) -> str:
    """Title and text together: a passage from the middle says seldom what it is about."""
    return f"{chunk.title}\n{chunk.text}"


def digest(document: Document, model_sha256: str, most_chunks: int | None) -> str:
    """Changes with anything that would change one of the document's points."""
    parts = (
        LAYOUT, model_sha256, CHUNK_TOKENS, OVERLAP_TOKENS, most_chunks, document.collection, document.key,
        document.title, document.url, document.author, document.author_id, document.markup, document.text,
        document.summary,
    )  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def units(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Documents in units of about UNIT_CHARS."""
    unit: list[Document] = []
    size = 0
    for document in documents:
        unit.append(document)
        size += len(document.text)
        if size >= UNIT_CHARS or len(unit) == UNIT_DOCUMENTS:
            yield unit
            unit, size = [], 0
    if unit:
        yield unit
