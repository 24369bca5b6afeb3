"""Liveness, readiness and health; none of them calls a vendor that costs money."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.deps import ReadyDep, StateDep
from service.api.errors import documented
from service.api.schemas import Health

router = APIRouter(tags=["health"])


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
    return Health(
        status="ready" if state.ready else "not ready",
        release=state.settings.release,
        served_by=state.settings.served_by,
        dependencies=await state.checkup.states(),
    )
