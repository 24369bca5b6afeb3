"""The proxy itself: each toxic does to a client what it says, and nothing once it is lifted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.fault_proxy import Bandwidth, Down, FaultProxy, Garbage, Latency, LimitData, ResetPeer, Timeout
from tests.real_processes import free_port

WORD = b"0123456789"
SOON_S = 10.0


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """In front of a server that says back what it is told."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        with FaultProxy(server.sockets[0].getsockname()[1]).running() as proxy:
            yield proxy


@asynccontextmanager
async def connection(proxy: FaultProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def echoed(proxy: FaultProxy, size: int = len(WORD)) -> bytes:
    """What comes back on a new connection."""
    async with asyncio.timeout(SOON_S), connection(proxy) as (reader, writer):
        writer.write(WORD)
        return await reader.readexactly(size)


@pytest.fixture(autouse=True)
async def clean_before_and_after(proxy: FaultProxy) -> AsyncIterator[None]:
    assert await echoed(proxy) == WORD
    yield
    assert await echoed(proxy) == WORD


async def test_latency_delays_what_still_comes_whole(proxy: FaultProxy) -> None:
    with proxy.suffering(Latency(0.2)):
        began = time.monotonic()
        assert await echoed(proxy) == WORD
        assert time.monotonic() - began >= 0.2


async def test_bandwidth_lets_it_drip(proxy: FaultProxy) -> None:
    with proxy.suffering(Bandwidth(bytes_per_s=50)):
        began = time.monotonic()
        assert await echoed(proxy) == WORD
        assert time.monotonic() - began >= 0.15


async def test_a_timeout_keeps_the_connection_open_and_says_nothing(proxy: FaultProxy) -> None:
    async with connection(proxy) as (reader, writer):
        with proxy.suffering(Timeout()):
            writer.write(WORD)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await reader.read(1)
        async with asyncio.timeout(SOON_S):
            assert await reader.read() == b""  # lifted: who hung is let go


async def test_reset_peer_is_a_reset_and_no_end(proxy: FaultProxy) -> None:
    with proxy.suffering(ResetPeer()), pytest.raises(ConnectionResetError):
        await echoed(proxy)


async def test_limit_data_ends_the_connection_after_so_many_bytes(proxy: FaultProxy) -> None:
    with proxy.suffering(LimitData(4)), pytest.raises(asyncio.IncompleteReadError) as ended:
        await echoed(proxy)
    assert ended.value.partial == WORD[:4]


async def test_garbage_is_as_long_and_something_else(proxy: FaultProxy) -> None:
    with proxy.suffering(Garbage()):
        assert await echoed(proxy) != WORD
    with proxy.suffering(Garbage(lambda data: data.replace(b"0", b"x"))):
        assert await echoed(proxy) == b"x123456789"


async def test_down_resets_who_is_there_and_refuses_who_comes(proxy: FaultProxy) -> None:
    async with connection(proxy) as (reader, writer):
        writer.write(WORD)
        assert await reader.readexactly(len(WORD)) == WORD
        with proxy.suffering(Down()):
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
            with pytest.raises(ConnectionRefusedError):
                await echoed(proxy)


async def test_a_fault_reaches_connections_that_are_open_already(proxy: FaultProxy) -> None:
    async with connection(proxy) as (reader, writer):
        with proxy.suffering(Garbage(lambda _: b"?")):
            writer.write(WORD)
            assert await reader.read(10) == b"?"


async def test_it_knows_when_a_client_closed(proxy: FaultProxy) -> None:
    before = len(proxy.closed)
    assert await echoed(proxy) == WORD
    async with asyncio.timeout(SOON_S):
        while len(proxy.closed) == before:
            await asyncio.sleep(0.01)


async def test_without_a_server_behind_it_connections_end(proxy: FaultProxy) -> None:
    with FaultProxy(free_port()).running() as alone:
        async with asyncio.timeout(SOON_S), connection(alone) as (reader, _):
            assert await reader.read() == b""
