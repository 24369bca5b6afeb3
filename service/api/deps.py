"""Named dependency types: what a route may ask for, and where it is kept.

All are coroutines, although none waits: FastAPI runs a plain function in a worker thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.access.caller import Caller
from service.api.errors import exchange
from service.api.state import State
from service.errors import NotReady
from service.rag.spending import Account
from service.resilience import Deadline
from service.telemetry import Exchange


async def _state(request: Request) -> State:
    state: State = request.app.state.service
    return state


async def _ready(request: Request) -> State:
    state = await _state(request)
    if not state.ready:
        raise NotReady("the service is starting or draining", retry_after_s=1)
    return state


@dataclass(frozen=True, slots=True)
class Call:
    """What a request for an answer comes with; `tenant` is whom the answer may be shared with, `account` who pays."""

    state: State
    deadline: Deadline
    exchange: Exchange
    tenant: str
    account: Account | None

    @property
    def request_id(self) -> str:
        """Names the request in answers and logs."""
        return self.exchange.request_id


async def _call(request: Request) -> Call:
    """One dependency in place of four: resolving one costs more than what any of them does."""
    state = await _state(request)  # one that drains still answers who comes: nothing is cut
    caller: Caller = request.scope["caller"]
    seen = exchange(request)
    arrived = time.monotonic() - (time.perf_counter() - seen.started)  # a slow body is on its sender's time
    return Call(
        state,
        Deadline(state.settings.deadline_s, arrived),
        seen,
        caller.name,
        state.access.spending.account(caller),
    )


StateDep = Annotated[State, Depends(_state)]
ReadyDep = Annotated[State, Depends(_ready)]
CallDep = Annotated[Call, Depends(_call)]
