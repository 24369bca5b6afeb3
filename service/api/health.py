"""Liveness, readiness and health; none of them calls a vendor that costs money."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from service.api.deps import ReadyDep, StateDep
from service.api.errors import documented
from service.api.schemas import Health
from service.errors import RagError

router = APIRouter(tags=["health"])
PING_S = 1.0


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process answers; says nothing of what it depends on, so that a vendor's outage restarts nobody."""
    return {"status": "alive"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses=documented(503))
async def readyz(state: ReadyDep) -> dict[str, str]:
    """Warmed up and not draining, else 503."""
    return {"status": "ready", "release": state.settings.release}


@router.head("/health", include_in_schema=False)
@router.get("/health", responses={503: {"model": Health}})
async def health(state: StateDep, response: Response) -> Health:
    """Readiness by its status code, dependency states in its body only."""
    if not state.ready:
        response.status_code = 503
    parts = state.parts
    checked = {
        "vectorStore": parts.store,
        "documents": parts.documents,
        "generator": parts.generator,
        "cache": parts.cache,
    }
    states = await asyncio.gather(*(_state(part) for part in checked.values()))
    return Health(
        status="ready" if state.ready else "not ready",
        release=state.settings.release,
        served_by=state.settings.served_by,
        dependencies=dict(zip(checked, states, strict=True)),
    )


async def _state(part: object) -> str:
    ping = getattr(part, "ping", None)
    if ping is None:
        return "not configured"
    try:
        async with asyncio.timeout(PING_S):
            await ping()
    except TimeoutError:
        return "no answer"
    except RagError as exc:
        return f"down: {exc.title}"
    return "up"
