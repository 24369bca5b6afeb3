"""Query expansion: other wordings of the question, so that retrieval does not hang on its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import RagError
from service.rag.spending import expansion_at_most
from service.resilience import tried

if TYPE_CHECKING:
    from service.ports import QueryModel
    from service.prices import TokenPrice
    from service.rag.trace import Trace
    from service.resilience import Deadline

STAGE = "query_expansion"


async def variants(
    query: str,
    model: QueryModel | None,
    count: int,
    trace: Trace,
    deadline: Deadline,
    limit_s: float,
    price: TokenPrice | None = None,
) -> list[str]:
    """The query first, then up to `count` distinct others; the query alone where the model is absent or fails."""
    if model is None or count == 0:
        trace.skip(STAGE)
        return [query]
    with trace.timing(STAGE):
        try:
            with trace.charging(price, expansion_at_most(query, count)) as charge:
                expansion = await tried(lambda: model.expand(query, count), deadline, stage=STAGE, limit_s=limit_s)
        except RagError:
            trace.degrade(STAGE)
            return [query]
    charge.settle(expansion.usage)
    trace.use(STAGE, expansion.usage)
    others = (variant.strip() for variant in expansion.variants)
    return list(dict.fromkeys([query, *(variant for variant in others if variant)]))[: count + 1]
