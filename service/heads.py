"""HTTP heads within bounds of time and size, which uvicorn itself does not set.

Without them a client that sends a head byte by byte, or never ends it, keeps its connection and what it sent for ever.
What comes after the head is bounded by the app (see `service.api.middleware`).
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0  # from its first byte; also how long a new connection may stay silent
MOST_BYTES = 64 * 1024  # a bearer token with many claims takes 8 KiB

_REFUSAL = "HTTP/1.1 {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol, which ends a connection whose next head is late or too long."""

    _due: asyncio.TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A head is awaited."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head that it has not seen the end of is too long by now."""
        if self._due is not None:
            if self._received > MOST_BYTES:
                self._end("431 Request Header Fields Too Large")
                return
            self._received += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """The first byte of a head has come."""
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._stop_waiting()
        self._received = 0
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._stop_waiting()
        self._due = asyncio.get_running_loop().call_later(HEAD_S, self._late)

    def _stop_waiting(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = None

    def _late(self) -> None:
        self._end("408 Request Timeout" if self._received else None)

    def _end(self, status: str | None) -> None:
        self._stop_waiting()
        if status is not None and not self.transport.is_closing():
            self.transport.write(_REFUSAL.format(status).encode())
        self.transport.close()
