"""Reranking: a cross-encoder reads question and passage together and orders the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.errors import RagError
from service.resilience import within

if TYPE_CHECKING:
    from service.ports import Hit, Reranker
    from service.rag.trace import Trace
    from service.resilience import Deadline

STAGE = "reranking"


async def best(
    query: str,
    hits: Sequence[Hit],
    top_k: int,
    *,
    reranker: Reranker | None,
    trace: Trace,
    deadline: Deadline,
    limit_s: float,
) -> list[Hit]:
    """The `top_k` most relevant of `hits`; in their given order where the model is absent or fails."""
    if reranker is None:
        trace.skip(STAGE)
        return list(hits[:top_k])
    if not hits:
        return []
    with trace.timing(STAGE):
        try:
            texts = [hit.text for hit in hits]
            scores = await within(deadline, lambda: reranker.score(query, texts), stage=STAGE, limit_s=limit_s)
        except RagError:
            trace.degrade(STAGE)
            return list(hits[:top_k])
    order = sorted(range(len(hits)), key=lambda i: scores[i], reverse=True)
    return [hits[i] for i in order[:top_k]]
