"""A bundle of 100,000 synthetic passages, built through the service's own code, and queries for it.

Unit vectors in topics, drawn to resemble sentence embeddings: cosines of random pairs 0.06 in the mean and 0.31 at
p99, of nearest neighbours 0.76, most variance on few axes. IVF cells would match such topics too well: none is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from service import bundle
from service.adapters import faiss_build, packaged
from service.adapters.onnx_minilm import DIMENSION, MODEL_ID
from service.bundle import Chunk, Manifest

if TYPE_CHECKING:
    from service.ports import Vectors

SEED = 20_261
ROWS = 100_000
QUERIES = 200
TOPICS = 4000
COMMON = 0.32  # what all texts share, as a length beside a topic's 1
DECAY = 0.4  # axis i carries i**-DECAY: a few axes hold most of what differs, as in text
SPREAD = (0.4, 1.2)  # of passages around their topic, some near and some far
COLLECTIONS = ("articles", "posts", "repos")
SHA256 = packaged.MINILM_ONNX_INT8.sha256


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A built bundle; `vectors` are its rows before quantisation."""

    home: Path
    vectors: Vectors
    queries: Vectors
    build_s: float

    @property
    def index(self) -> Path:
        """The index file."""
        return bundle.resolve(self.home) / bundle.INDEX


@contextmanager
def synthetic_bundle(rows: int = ROWS) -> Iterator[Synthetic]:
    """Build it in a temporary folder; gone after the block."""
    drawn = _unit_vectors(rows + QUERIES)
    vectors, queries = drawn[:rows], drawn[rows:]
    with TemporaryDirectory(prefix="rag-bench-") as folder:
        started = perf_counter()
        _write(Path(folder), vectors)
        yield Synthetic(Path(folder), vectors, queries, perf_counter() - started)


def _unit_vectors(count: int) -> Vectors:
    random = np.random.default_rng(SEED)

    def normal(*shape: int) -> Vectors:
        return random.standard_normal(shape, np.float32)

    axes = np.arange(1, DIMENSION + 1, dtype=np.float32) ** -DECAY
    axes /= np.linalg.norm(axes)
    topics = normal(TOPICS, DIMENSION) * axes + COMMON * normal(DIMENSION) / DIMENSION**0.5
    drawn = topics[random.integers(TOPICS, size=count)]
    drawn += random.uniform(*SPREAD, (count, 1)).astype(np.float32) * normal(count, DIMENSION) * axes
    rotated = drawn @ np.linalg.qr(normal(DIMENSION, DIMENSION))[0]  # no coordinate is special
    unit: Vectors = rotated / np.linalg.norm(rotated, axis=1, keepdims=True)
    return unit


def _write(home: Path, vectors: Vectors) -> None:
    index = faiss_build.build(vectors, "sq8")
    with bundle.replacing(home) as staging:
        faiss_build.write(index, staging / bundle.INDEX)
        count = bundle.write_chunks(staging / bundle.CHUNKS, _chunks(len(vectors)))
        bundle.write_manifest(
            staging,
            Manifest(
                embedding_model=MODEL_ID,
                embedding_sha256=SHA256,
                dimension=DIMENSION,
                count=count,
                index_type="sq8",
                recall_at_10=faiss_build.recall_at_10(index, vectors),
                files=bundle.checksums(staging),
                created=datetime.now(UTC),
                source="synthetic",
            ),
        )


def _chunks(count: int) -> Iterator[Chunk]:
    """Passages of about 600 characters, grouped by collection as the ingestion writes them."""
    share = -(-count // len(COLLECTIONS))
    for n in range(count):
        text = f"Passage {n} says what it is about in words that nobody searches for. " * 9
        yield Chunk(
            f"c{n:06}", COLLECTIONS[n // share], f"author{n % 97}", f"Passage {n}", f"https://example.org/{n}", text
        )
