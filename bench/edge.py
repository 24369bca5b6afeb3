"""Edge search over 100,000 passages of 384 dimensions: the store against FAISS alone, its recall, its size."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import uvloop
from figures import Figure, Report, main, report
from paired import Measure, paired
from synthetic import COLLECTIONS, SHA256, Synthetic, synthetic_bundle

from service.adapters.faiss_index import FaissStore
from service.adapters.onnx_minilm import DIMENSION, MODEL_ID
from tests.fakes import FakeEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.ports import Vectors

K = 10
ROUNDS = 100
SEARCHES = 4  # per round: short rounds, so that both meet the same neighbours
TIMES_RAW, RECALL, INDEX_MB = 1.1, 0.99, 41.0
QDRANT_ROWS = 10_000
QDRANT_ROUNDS = 10


def run() -> Report:
    with synthetic_bundle() as made:
        store = _open(made)
        raw = store._index  # noqa: SLF001 - a second copy lies elsewhere in memory and scans at another speed
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the service's loop
            compared = paired(
                _p50_ms(_timed_in(runner, store), made.queries),
                _p50_ms(_timed(lambda query: raw.search(query, K)), made.queries),
                rounds=ROUNDS,
                unit="ms, median of a round's searches",
            )
            hits = runner.run(store.search(made.queries, collections=COLLECTIONS, limit=K))
        recall = _recall([[int(hit.id[1:]) for hit in row] for row in hits], made)
        size_mb = made.index.stat().st_size / 1e6
        store.close()
        build_s = made.build_s
    figures = [
        Figure("search p50 / raw FAISS call", compared.ratio, "x", at_most=TIMES_RAW),
        Figure("search p50", median(compared.a), "ms"),
        Figure("recall@10 of exact search", recall, "", at_least=RECALL),
        Figure("index file", size_mb, "MB", at_most=INDEX_MB),
        Figure("bundle built in", build_s, "s"),
        Figure(f"Qdrant local mode / search, {QDRANT_ROWS} rows", _qdrant_local(), "x"),
    ]
    return report(
        "What does the edge store add to FAISS, and what does it find?",
        figures,
        details=compared.document(),
        versions=("faiss-cpu", "numpy", "qdrant-client"),
    )


def _open(made: Synthetic) -> FaissStore:
    return FaissStore.open(made.home, FakeEmbedder(model_id=MODEL_ID, dimension=DIMENSION), embedder_sha256=SHA256)


async def _search(store: FaissStore, query: Vectors) -> float:
    """Seconds of one search, inside a running loop as in the service."""
    started = perf_counter()
    await store.search(query, collections=COLLECTIONS, limit=K)
    return perf_counter() - started


def _timed_in(runner: asyncio.Runner, store: FaissStore) -> Callable[[Vectors], float]:
    return lambda query: runner.run(_search(store, query))


def _timed(search: Callable[[Vectors], object]) -> Callable[[Vectors], float]:
    def timed(query: Vectors) -> float:
        started = perf_counter()
        search(query)
        return perf_counter() - started

    return timed


def _p50_ms(timed: Callable[[Vectors], float], queries: Vectors) -> Measure:
    def measure() -> float:
        return median(timed(queries[n : n + 1]) for n in range(SEARCHES)) * 1000

    return measure


def _recall(found: list[list[int]], made: Synthetic) -> float:
    exact = np.argpartition(-(made.queries @ made.vectors.T), K, axis=1)[:, :K]
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(exact.tolist(), found, strict=True)]))


def _qdrant_local() -> float:
    """Ratio of medians at a size where Qdrant's in-process mode is still usable."""
    from qdrant_client import QdrantClient
    from qdrant_client.models import Distance, VectorParams

    with synthetic_bundle(QDRANT_ROWS) as made, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        client = QdrantClient(":memory:")
        client.create_collection("bench", vectors_config=VectorParams(size=DIMENSION, distance=Distance.COSINE))
        client.upload_collection("bench", vectors=made.vectors, ids=range(QDRANT_ROWS))
        store = _open(made)
        compared = paired(
            _p50_ms(_timed(lambda query: client.query_points("bench", query=query[0], limit=K)), made.queries),
            _p50_ms(_timed_in(runner, store), made.queries),
            rounds=QDRANT_ROUNDS,
            unit="ms",
        )
        store.close()
        client.close()
    return compared.ratio


if __name__ == "__main__":
    main(run)
