"""Lambda's snapshots (SnapStart): what is open is closed before one is taken, and opened anew in each that is restored.

The Lambda Web Adapter asks for both by an empty POST, and refuses these paths to everybody else; so they are served
only where it is told of them (`RAG_SNAPSHOTS`). Models stay loaded: they are what a snapshot is for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from fastapi import APIRouter, Request

from service.api.paths import SNAPSHOT_AFTER, SNAPSHOT_BEFORE

router = APIRouter(include_in_schema=False)


class Connections:
    """What the service holds open to others, and the state that is built on it."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._opening = opening
        self._open = AsyncExitStack()

    async def open(self) -> None:
        """Open all of it; secrets are read again."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._opening())
            self._open = stack.pop_all()

    async def aclose(self) -> None:
        """Close it, in reverse; a second time is nothing."""
        await self._open.aclose()


@router.post(SNAPSHOT_BEFORE, status_code=204)
async def before_snapshot(request: Request) -> None:
    """No connection outlives a snapshot: its other end is gone when one is restored."""
    request.app.state.service.ready = False
    await request.app.state.connections.aclose()


@router.post(SNAPSHOT_AFTER, status_code=204)
async def after_restore(request: Request) -> None:
    """Ids of traces and the jitter of retries come from a generator that every restored copy would continue alike."""
    random.seed()
    await request.app.state.connections.open()
