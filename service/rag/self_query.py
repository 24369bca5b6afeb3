"""Self-query: which author the question asks about, and that author's ids.

A filter that the caller asked for is never dropped; one that the model guessed is, when anything about it fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import RagError, StageUnavailable
from service.rag.spending import self_query_at_most
from service.resilience import tried

if TYPE_CHECKING:
    from service.ports import Documents, QueryModel
    from service.prices import TokenPrice
    from service.rag.trace import Trace
    from service.resilience import Deadline

STAGE = "self_query"


async def requested_authors(
    name: str, documents: Documents | None, deadline: Deadline, limit_s: float
) -> tuple[str, ...]:
    """Ids for a filter that the caller asked for; without a documents store the name is the id.

    Raises:
        StageUnavailable: the lookup failed; widening the result to everybody would be a leak.
    """
    if documents is None:
        return (name,)
    return await tried(lambda: documents.author_ids(name), deadline, stage="documents", limit_s=limit_s)


async def guessed_authors(
    query: str,
    model: QueryModel | None,
    documents: Documents | None,
    trace: Trace,
    deadline: Deadline,
    limit_s: float,
    lookup_s: float,
    price: TokenPrice | None = None,
) -> tuple[str, ...] | None:
    """Ids for the author that the question names; None for no filter, also where anything about the guess failed."""
    if model is None:
        trace.skip(STAGE)
        return None
    with trace.timing(STAGE):
        try:
            with trace.charging(price, self_query_at_most(query)) as charge:
                found = await tried(lambda: model.self_query(query), deadline, stage=STAGE, limit_s=limit_s)
            charge.settle(found.usage)
            trace.use(STAGE, found.usage)
            if found.author is None:
                return None
            return await requested_authors(found.author, documents, deadline, lookup_s) or None
        except StageUnavailable as exc:
            trace.degrade(exc.stage)
        except RagError:
            trace.degrade(STAGE)
    return None
