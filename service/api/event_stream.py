"""A streamed response that closes what it is made from, however the client leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import anyio
from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from service.rag.events import Events

EVENT_STREAM = "text/event-stream"


class EventStream(StreamingResponse):
    """Server-sent events; Starlette itself leaves the iterator open when a client goes while a send waits."""

    def __init__(self, content: AsyncIterator[bytes], *, closing: Events) -> None:
        super().__init__(content, media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})
        self._content = content
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, then close the encoder and the pipeline behind it, which frees the model call and the cache lock."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                close = getattr(self._content, "aclose", None)
                if close is not None:
                    await close()
                await self._closing.aclose()
