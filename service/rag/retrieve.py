"""Retrieval: embed every wording, search all collections, merge by reciprocal rank fusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.resilience import tried, within
from service.resilience.budgets import EMBED_S

if TYPE_CHECKING:
    from service.ports import Embedder, Hit, VectorStore
    from service.rag.trace import Trace
    from service.resilience import Deadline

STAGE = "retrieval"
RRF_K = 60  # Cormack, Clarke and Buettcher 2009: the constant that damps the first ranks


async def search(
    wordings: Sequence[str],
    *,
    embedder: Embedder,
    store: VectorStore,
    collections: Sequence[str],
    limit: int,
    authors: Sequence[str] | None,
    trace: Trace,
    deadline: Deadline,
    limit_s: float,
) -> list[Hit]:
    """At most `limit` distinct chunks, best first; `score` is the chunk's best cosine over all wordings.

    Raises:
        StageUnavailable: the embedder or the store failed; there is no answer without retrieval.
    """
    with trace.timing(STAGE):
        vectors = await within(deadline, lambda: embedder.embed(wordings), stage=STAGE, limit_s=EMBED_S)
        found = await tried(
            lambda: store.search(vectors, collections=collections, limit=limit, authors=authors),
            deadline,
            stage=STAGE,
            limit_s=limit_s,
        )
        return fuse(found)[:limit]


def fuse(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Reciprocal rank fusion by collection and id: sum of 1 / (RRF_K + rank); ties keep the higher cosine first."""
    fused: dict[tuple[str, str], float] = {}
    best: dict[tuple[str, str], Hit] = {}
    for ranking in rankings:
        for damped, hit in enumerate(ranking, start=RRF_K + 1):
            key = (hit.collection, hit.id)
            fused[key] = fused.get(key, 0.0) + 1 / damped
            known = best.get(key)
            if known is None or hit.score > known.score:
                best[key] = hit
    order = sorted(fused, key=lambda key: (fused[key], best[key].score), reverse=True)
    return [best[key] for key in order]
