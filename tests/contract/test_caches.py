from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from service.adapters.memory import MemoryCache
from service.adapters.redis_cache import RedisCache
from service.errors import StageUnavailable, StartupError
from service.ports import Cache
from tests.contract.contracts import CacheContract
from tests.real_processes import Running, free_port, redis_server

ROOT = Path(__file__).parents[2]


def open_cache(port: int, *, connections: int = 5, timeout_s: float = 2.0, user: str = "") -> RedisCache:
    """A patient one: what these tests share their cores with may stop them for longer than the service would wait."""
    url = SecretStr(f"redis://{user}127.0.0.1:{port}/0")
    return RedisCache.open(url, connections=connections, timeout_s=timeout_s)


class TestRedis(CacheContract):
    @pytest.fixture
    async def cache(self, redis: Running) -> AsyncIterator[Cache]:
        async with aclosing(open_cache(redis.port)) as adapter:
            yield adapter


class TestMemory(CacheContract):
    @pytest.fixture
    def cache(self) -> Cache:
        return MemoryCache(entries=100)


async def test_memory_forgets_the_least_recently_used_first() -> None:
    cache = MemoryCache(entries=2)
    await cache.set("a", b"1", ttl_s=60)
    await cache.set("b", b"2", ttl_s=60)
    assert await cache.get("a") == b"1"
    await cache.set("c", b"3", ttl_s=60)
    assert [await cache.get(key) for key in "abc"] == [b"1", None, b"3"]


async def test_a_hundred_askers_in_two_processes_work_once(redis: Running) -> None:
    """Two processes of fifty askers each: one of them does the work, and everybody has its result."""
    key = uuid.uuid4().hex
    arguments = [sys.executable, "-m", "tests.contract.many_askers", str(redis.port), key, "50"]
    askers = [await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE, cwd=ROOT) for _ in range(2)]
    outputs = [(await asker.communicate())[0].split() for asker in askers]
    assert [len(output) for output in outputs] == [50, 50]
    assert len({answer for output in outputs for answer in output}) == 1
    async with Redis(port=redis.port) as client:
        assert await client.get(f"{key}:worked") == b"1"


async def test_connections_stay_within_the_pool_under_load(redis: Running) -> None:
    async with Redis(port=redis.port) as counting, aclosing(open_cache(redis.port, connections=4)) as cache:
        before = (await counting.info("stats"))["total_connections_received"]
        assert await asyncio.gather(*(cache.get("x") for _ in range(200))) == [None] * 200
        assert (await counting.info("stats"))["total_connections_received"] - before == 4


async def test_a_holder_that_is_cancelled_twice_still_lets_go(redis: Running) -> None:
    key = uuid.uuid4().hex
    async with aclosing(open_cache(redis.port)) as cache:

        async def hold() -> None:
            async with cache.lock(key, ttl_s=30):
                await asyncio.sleep(30)

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0.1)
        holder.cancel()
        await asyncio.sleep(0)
        holder.cancel()  # a second time, while the lock is being released
        with contextlib.suppress(asyncio.CancelledError):
            await holder
        await asyncio.sleep(0.1)
        async with asyncio.timeout(1), cache.lock(key, ttl_s=30) as first:
            assert first


@pytest.fixture
def own_redis() -> Iterator[Running]:
    with redis_server() as server:
        yield server


async def locking(cache: RedisCache) -> None:
    async with cache.lock("k", ttl_s=5):
        pass


async def attempt(cache: RedisCache, name: str) -> float:
    """Seconds until the call said that the cache is unavailable."""
    calls = {"get": cache.get("k"), "set": cache.set("k", b"v", ttl_s=5), "lock": locking(cache), "ping": cache.ping()}
    call = calls.pop(name)
    for other in calls.values():
        other.close()
    began = time.monotonic()
    with pytest.raises(StageUnavailable, match="cache: Redis gave no answer"):
        await call
    return time.monotonic() - began


CALLS = ("get", "set", "lock", "ping")


async def test_an_absent_redis_is_said_at_once() -> None:
    async with aclosing(open_cache(free_port(), timeout_s=0.05)) as cache:
        assert max([await attempt(cache, call) for call in CALLS]) < 0.5


async def test_a_redis_that_hangs_costs_its_time_limit(own_redis: Running) -> None:
    async with aclosing(open_cache(own_redis.port, timeout_s=0.05)) as cache:
        await cache.ping()
        os.kill(own_redis.process.pid, signal.SIGSTOP)
        try:
            assert max([await attempt(cache, call) for call in CALLS]) < 0.5
        finally:
            os.kill(own_redis.process.pid, signal.SIGCONT)
        await asyncio.sleep(0.1)
        await cache.ping()


async def test_a_redis_that_dies_under_a_held_lock_does_not_harm_the_holder(own_redis: Running) -> None:
    async with aclosing(open_cache(own_redis.port)) as cache, cache.lock("k", ttl_s=5) as first:
        assert first
        own_redis.process.kill()
        own_redis.process.wait()


async def test_a_refused_password_says_what_to_correct() -> None:
    with redis_server("--requirepass", "right") as server:
        async with aclosing(open_cache(server.port, user=":hunter2@")) as cache:
            with pytest.raises(StageUnavailable, match="correct RAG_REDIS_URL") as refused:
                await cache.get("k")
        assert "hunter2" not in refused.value.detail


async def test_a_url_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(StartupError, match="RAG_REDIS_URL is no Redis URL") as refused:
        RedisCache.open(SecretStr("http://:hunter2@x"), connections=1, timeout_s=1)
    assert "hunter2" not in refused.value.detail
