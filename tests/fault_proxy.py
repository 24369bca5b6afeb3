"""A TCP proxy on loopback that does to a connection what networks and sick servers do to it.

Toxics are named as toxiproxy names them and act on what the server sends; `proxy.suffering(toxic)` is the time of the
fault, after which every connection that suffered is closed, as if its server had come back.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

CONTROL_S = 10.0
CHUNK = 65536


@dataclass(eq=False)
class Link:
    """One client's connection, and the one that was made for it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    passed: int = 0  # bytes to the client since the fault began
    suffered: bool = False

    async def send(self, data: bytes) -> None:
        self.passed += len(data)
        self.client.write(data)
        await self.client.drain()

    def close(self) -> None:
        """An end that the client can read."""
        self.client.close()
        self.server.close()

    def reset(self) -> None:
        """RST instead of FIN: what was under way is lost."""
        if not self.client.is_closing():  # it may have gone by itself a moment ago: there is nothing left to reset
            raw = self.client.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.transport.abort()
        self.server.close()


class Toxic(Protocol):
    """What happens to a piece of a reply."""

    async def reply(self, link: Link, data: bytes) -> None: ...


@dataclass(frozen=True)
class Latency:
    """Each piece comes `seconds` late."""

    seconds: float

    async def reply(self, link: Link, data: bytes) -> None:
        await asyncio.sleep(self.seconds)
        await link.send(data)


@dataclass(frozen=True)
class Bandwidth:
    """`bytes_per_s`, a byte at a time."""

    bytes_per_s: float

    async def reply(self, link: Link, data: bytes) -> None:
        for n in range(len(data)):
            await link.send(data[n : n + 1])
            await asyncio.sleep(1 / self.bytes_per_s)


@dataclass(frozen=True)
class Timeout:
    """The connection stays open and nothing comes: a server that hangs."""

    async def reply(self, link: Link, data: bytes) -> None: ...


@dataclass(frozen=True)
class ResetPeer:
    """The connection is reset where a reply was due."""

    async def reply(self, link: Link, data: bytes) -> None:
        link.reset()


@dataclass(frozen=True)
class LimitData:
    """The connection ends after `size` bytes: half a body, half a stream."""

    size: int

    async def reply(self, link: Link, data: bytes) -> None:
        await link.send(data[: self.size - link.passed])
        if link.passed >= self.size:
            link.close()


@dataclass(frozen=True)
class Garbage:
    """Something else comes in place of each piece; `written` makes it from what the server sent."""

    written: Callable[[bytes], bytes] = lambda data: bytes(byte ^ 0x5A for byte in data)

    async def reply(self, link: Link, data: bytes) -> None:
        await link.send(self.written(data))


@dataclass(frozen=True)
class Down:
    """Nobody listens; open connections were reset when the fault began."""

    async def reply(self, link: Link, data: bytes) -> None:
        link.reset()


@dataclass
class FaultProxy:
    """In front of `upstream`, on a port that stays the same.

    Attributes:
        closed: when clients were seen to close a connection, on the monotonic clock.
    """

    upstream: int
    port: int = 0
    closed: list[float] = field(default_factory=list)
    _toxic: Toxic | None = None
    _links: set[Link] = field(default_factory=set)
    _pumps: set[asyncio.Task[None]] = field(default_factory=set)

    @contextmanager
    def suffering(self, toxic: Toxic) -> Iterator[None]:
        """The fault lasts for the block; what is thrown into it is not caught."""
        self._call(self._begin(toxic))
        try:
            yield
        finally:
            self._call(self._end())

    @contextmanager
    def running(self) -> Iterator[FaultProxy]:
        """In a thread with an event loop of its own."""
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        self._call(self._listen())
        try:
            yield self
        finally:
            self._call(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(CONTROL_S)
            self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CONTROL_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _begin(self, toxic: Toxic) -> None:
        self._toxic = toxic
        for link in list(self._links):
            link.passed = 0
            if isinstance(toxic, Down):
                link.reset()
        if isinstance(toxic, Down):
            self._server.close()

    async def _end(self) -> None:
        if isinstance(self._toxic, Down):
            await self._listen()
        self._toxic = None
        for link in list(self._links):
            if link.suffered:
                link.close()

    async def _stop(self) -> None:
        self._server.close()
        for link in list(self._links):
            link.reset()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, server = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.close()
            return
        link = Link(writer, server)
        self._links.add(link)
        for pump in (self._requests(reader, link), self._replies(upstream, link)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _requests(self, reader: asyncio.StreamReader, link: Link) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                link.server.write(data)
                await link.server.drain()
        self.closed.append(time.monotonic())
        self._links.discard(link)
        link.close()

    async def _replies(self, reader: asyncio.StreamReader, link: Link) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self._toxic is None:
                    await link.send(data)
                else:
                    link.suffered = True
                    await self._toxic.reply(link, data)
        if not isinstance(self._toxic, Timeout):
            link.close()
