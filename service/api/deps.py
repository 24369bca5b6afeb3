"""Named dependency types: what a route may ask for, and where it is kept.

All are coroutines, although none waits: FastAPI runs a plain function in a worker thread.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Depends, Request

from service.api.errors import request_id
from service.api.state import State
from service.errors import NotReady
from service.resilience import Deadline


async def _state(request: Request) -> State:
    state: State = request.app.state.service
    return state


async def _ready(request: Request) -> State:
    state = await _state(request)
    if not state.ready:
        raise NotReady("the service is starting or draining", retry_after_s=1)
    return state


async def _deadline(request: Request) -> Deadline:
    return Deadline(total_s=(await _state(request)).settings.deadline_s)


async def _request_id(request: Request) -> str:
    return request_id(request)


async def _tenant(request: Request) -> str:
    """Whom a cached answer may be shared with: the callers with the same credentials, never kept in the clear."""
    said = request.headers.get("authorization", "")
    return hashlib.sha256(said.encode()).hexdigest()[:32] if said else ""


StateDep = Annotated[State, Depends(_state)]
ReadyDep = Annotated[State, Depends(_ready)]
DeadlineDep = Annotated[Deadline, Depends(_deadline)]
TenantDep = Annotated[str, Depends(_tenant)]
RequestId = Annotated[str, Depends(_request_id)]
