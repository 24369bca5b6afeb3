"""FAISS: builds an edge bundle's index, in memory that does not grow with the texts, and proves what it holds.

`vectors` may be a memory map: rows are touched in blocks, so that only the index itself has to fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.bundle import IndexType
    from service.ports import Vectors

IVF_TRAINING_PER_CELL = 39  # FAISS warns below this many training points per cell
IVF_PROBES = 8
HNSW_LINKS = 32
HNSW_EF_SEARCH = 128
HNSW_EF_MOST = 2048
RECALL_QUERIES = 200
BLOCK = 16_384
K = 10


def build(vectors: Vectors, kind: IndexType) -> Any:  # noqa: ANN401 - FAISS has no types
    """Index of unit vectors under inner product (their cosine); shape (n, dimension)."""
    import faiss  # noqa: PLC0415 - a tenth of a second that only the edge needs

    count, dimension = vectors.shape
    metric = faiss.METRIC_INNER_PRODUCT
    index: Any
    if kind == "flat":
        index = faiss.IndexFlat(dimension, metric)
    elif kind == "sq8":
        index = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, metric)
    elif kind == "ivf-sq8":
        cells = max(1, min(4 * int(count**0.5), count // IVF_TRAINING_PER_CELL))
        coarse = faiss.IndexFlat(dimension, metric)
        index = faiss.IndexIVFScalarQuantizer(coarse, dimension, cells, faiss.ScalarQuantizer.QT_8bit, metric)
        index.nprobe = min(cells, IVF_PROBES)
    else:
        index = faiss.IndexHNSWFlat(dimension, HNSW_LINKS, metric)
        index.hnsw.efSearch = HNSW_EF_SEARCH
    index.train(vectors)
    for _, rows in _blocks(vectors):
        index.add(rows)
    return index


@dataclass(frozen=True)
class Exact:
    """Queries near the vectors, none of them a row, and the exact nearest rows of each."""

    queries: Vectors
    nearest: NDArray[np.int64]

    @classmethod
    def of(cls, vectors: Vectors) -> Self:
        """Queries are means of neighbouring rows; up to RECALL_QUERIES of them."""
        count = len(vectors)
        picks = np.linspace(0, count - 1, min(RECALL_QUERIES, count)).astype(int)
        queries = vectors[picks] + 0.5 * vectors[(picks + 1) % count]
        queries = np.ascontiguousarray(queries / np.linalg.norm(queries, axis=1, keepdims=True), np.float32)
        k = min(K, count)
        scores = np.empty((len(queries), 0), np.float32)
        rows = np.empty((len(queries), 0), np.int64)
        for start, block in _blocks(vectors):
            scores = np.hstack([scores, queries @ block.T])
            rows = np.hstack([rows, np.tile(np.arange(start, start + len(block)), (len(queries), 1))])
            best = np.argsort(-scores, axis=1)[:, :k]
            scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
        return cls(queries, rows)

    def recall(self, index: Any) -> float:  # noqa: ANN401
        """Mean share of the exact ten nearest that `index` finds."""
        k = self.nearest.shape[1]
        found = index.search(self.queries, k)[1]
        return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(self.nearest, found, strict=True)]))


def recall_at_10(index: Any, vectors: Vectors) -> float:  # noqa: ANN401
    """Recall of `index` against exact search over the same vectors."""
    return Exact.of(vectors).recall(index)


def tuned_recall(index: Any, vectors: Vectors, wanted: float) -> float:  # noqa: ANN401
    """Recall after the search has been widened, in doublings, until it is `wanted` or can't be widened further.

    The width (cells probed, candidates kept) is a part of the index and is written with it.
    """
    exact = Exact.of(vectors)
    recall = exact.recall(index)
    while recall < wanted and _widen(index):
        recall = exact.recall(index)
    return recall


def _widen(index: Any) -> bool:  # noqa: ANN401
    if hasattr(index, "nlist") and index.nprobe < index.nlist:
        index.nprobe = min(index.nlist, 2 * index.nprobe)
        return True
    if hasattr(index, "hnsw") and index.hnsw.efSearch < HNSW_EF_MOST:
        index.hnsw.efSearch *= 2
        return True
    return False


def least_cosine(index: Any, vectors: Vectors) -> float:  # noqa: ANN401
    """The smallest cosine between a row as the index holds it and as it was given; quantisation alone costs little."""
    inverted = hasattr(index, "nlist")
    if inverted:
        index.make_direct_map()
    least = 1.0
    for start, rows in _blocks(vectors):
        held = index.reconstruct_n(start, len(rows))
        lengths = np.linalg.norm(held, axis=1) * np.linalg.norm(rows, axis=1)
        least = min(least, float(np.min((held * rows).sum(axis=1) / lengths)))
    if inverted:
        faiss: Any = _faiss()  # its stubs lack the direct map
        index.set_direct_map_type(faiss.DirectMap.NoMap)  # 8 bytes a vector that nobody needs later
    return least


def write(index: Any, path: Path) -> None:  # noqa: ANN401
    """Write the index file.

    Raises:
        OSError: the disk is full, or the folder can't be written.
    """
    import faiss  # noqa: PLC0415

    try:
        faiss.write_index(index, str(path))
    except RuntimeError as exc:
        raise OSError(f"{path.name} can't be written: {str(exc).rpartition(': ')[2]}") from exc


def _faiss() -> Any:  # noqa: ANN401
    import faiss  # noqa: PLC0415

    return faiss


def _blocks(vectors: Vectors) -> Iterator[tuple[int, Vectors]]:
    for start in range(0, len(vectors), BLOCK):
        yield start, np.ascontiguousarray(vectors[start : start + BLOCK], np.float32)
