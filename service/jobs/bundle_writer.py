"""Passages and their vectors, in order -> an edge bundle that is proved before it replaces the one in use.

The vectors pass through a file beside the index, so that memory holds the index and a block, whatever the count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from service import bundle
from service.adapters import faiss_build
from service.bundle import Chunk, IndexType, Manifest
from service.errors import StartupError

if TYPE_CHECKING:
    from service.ports import Vectors

SPOOL = "vectors.f32"
TARGET_RECALL = 0.98  # an index whose search can be widened is widened until it is as good
LEAST_COSINE = 0.98  # of a quantised vector to its source: 8 bits cost some 0.0001
NORM_TOLERANCE = 0.01

Pages = Iterable[tuple[Sequence[Chunk], "Vectors"]]
# Told the position of every chunk id by collection's order, and the vectors as they were read.
Check = Callable[[Path, "Vectors"], None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a bundle is to be."""

    kind: IndexType
    min_recall: float
    model_id: str
    model_sha256: str
    dimension: int
    source: str


def write(home: Path, pages: Pages, recipe: Recipe, *, check: Check | None = None) -> Manifest:
    """Write, prove and switch; on any error the old bundle stays in use.

    Args:
        home: the bundle home.
        pages: passages with their unit vectors, grouped by collection, so that a search in one of them scans one range.
        recipe: what to build.
        check: called with the new folder and all its vectors before the switch; raises to refuse.

    Raises:
        StartupError: no passage, a vector that is none, or a recall below `recipe.min_recall`.
        OSError: the disk is full, or the folder can't be written.
    """
    with bundle.replacing(home) as staging:
        spool = staging / SPOOL
        with spool.open("wb") as file:
            count = bundle.write_chunks(staging / bundle.CHUNKS, _spooled(pages, file, recipe.dimension))
        if not count:
            raise StartupError("the documents hold no text to index")
        vectors: Vectors = np.memmap(spool, np.float32, "r", shape=(count, recipe.dimension))
        recall = _index(vectors, staging / bundle.INDEX, recipe)
        if check is not None:
            check(staging, vectors)
        del vectors
        spool.unlink()
        manifest = Manifest(
            embedding_model=recipe.model_id,
            embedding_sha256=recipe.model_sha256,
            dimension=recipe.dimension,
            count=count,
            index_type=recipe.kind,
            recall_at_10=round(recall, 4),
            files=bundle.checksums(staging),
            created=datetime.now(UTC),
            source=recipe.source,
        )
        bundle.write_manifest(staging, manifest)
    return manifest


def _spooled(pages: Pages, file: BinaryIO, dimension: int) -> Iterator[Chunk]:
    for chunks, vectors in pages:
        if not chunks:
            continue
        if vectors.shape != (len(chunks), dimension):
            raise StartupError(
                f"{chunks[0].collection}: {vectors.shape[-1]}-D vectors, the embedding model makes {dimension}-D; "
                "ingest the collection again"
            )
        wrong = np.flatnonzero(~(np.abs(np.linalg.norm(vectors, axis=1) - 1) <= NORM_TOLERANCE))  # NaN is wrong too
        if wrong.size:
            raise StartupError(f"{chunks[0].collection}: {chunks[wrong[0]].id} has no unit vector; ingest it again")
        try:
            file.write(np.ascontiguousarray(vectors, "<f4").tobytes())
        except OSError as exc:
            raise OSError(f"{file.name} can't be written: {exc.strerror}") from exc
        yield from chunks


def _index(vectors: Vectors, path: Path, recipe: Recipe) -> float:
    """Write the index; its recall."""
    index = faiss_build.build(vectors, recipe.kind)
    recall = faiss_build.tuned_recall(index, vectors, max(recipe.min_recall, TARGET_RECALL))
    if not recall >= recipe.min_recall:  # so that NaN is no way around it
        raise StartupError(
            f"index {recipe.kind}: recall@10 is {recall:.3f}, below {recipe.min_recall:g}; take another "
            "hybrid.index.type or lower hybrid.index.minRecall"
        )
    least = faiss_build.least_cosine(index, vectors)
    if index.ntotal != len(vectors) or not least >= LEAST_COSINE:
        raise StartupError(
            f"index {recipe.kind} holds {index.ntotal} of {len(vectors)} vectors, the worst at a cosine of {least:.3f} "
            "to its source; take hybrid.index.type flat"
        )
    faiss_build.write(index, path)
    return recall
