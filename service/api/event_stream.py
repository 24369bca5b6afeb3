"""A streamed response that closes what it is made from, however the client leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import anyio
from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from service.rag.events import Events
    from service.resilience import Deadline

log = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
# What OpenAPI says of an answer that may be streamed instead: the schema is each event's.
_EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
}
STREAMED: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {"schema": _EVENT}}}}
LAST_WORD_S = 1.0  # beyond the deadline, for the event that says that it is over


class EventStream(StreamingResponse):
    """Server-sent events; Starlette itself leaves the iterator open when a client goes while a send waits."""

    def __init__(self, content: AsyncIterator[bytes], *, closing: Events, deadline: Deadline) -> None:
        super().__init__(content, media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})
        self._content = content
        self._closing = closing
        self._deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, then close the encoder and the pipeline behind it, which frees the model call and the cache lock.

        A client that does not read can't hold them beyond the deadline: its connection is closed.
        """
        try:
            async with asyncio.timeout(self._deadline.remaining_s() + LAST_WORD_S):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            log.info("a client read its stream too slowly; closed at its deadline")
        finally:
            with anyio.CancelScope(shield=True):
                close = getattr(self._content, "aclose", None)
                if close is not None:
                    await close()
                await self._closing.aclose()
