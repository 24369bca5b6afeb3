"""Redis: the cache that all processes of a deployment share, and the lock that lets one of them do the work."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Self, cast

from redis.exceptions import RedisError

from service.adapters.redis_client import close, open_client, translated

if TYPE_CHECKING:
    from pydantic import SecretStr
    from redis.asyncio import Redis
    from redis.asyncio.lock import Lock

STAGE = "cache"
FIRST_POLL_S, LAST_POLL_S = 0.005, 0.05


class RedisCache:
    """Cache port over one Redis or Valkey."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._releasing: set[asyncio.Task[None]] = set()

    @classmethod
    def open(cls, url: SecretStr, *, connections: int, timeout_s: float) -> Self:
        """Make the client; nothing is sent before the first call. `timeout_s` bounds each wait on the socket.

        Raises:
            StartupError: not a Redis URL.
        """
        return cls(open_client(url, connections=connections, timeout_s=timeout_s))

    async def get(self, key: str) -> bytes | None:
        with translated(STAGE):
            return cast("bytes | None", await self._client.get(key))  # the pool decodes nothing

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        with translated(STAGE):
            await self._client.set(key, value, px=_milliseconds(ttl_s))

    @asynccontextmanager
    async def lock(self, key: str, *, ttl_s: float) -> AsyncIterator[bool]:
        name = f"{key}:lock"
        lock = self._client.lock(name, timeout=_milliseconds(ttl_s) / 1000, blocking=False, thread_local=False)
        token = uuid.uuid4().hex.encode()
        try:
            with translated(STAGE):
                held = await lock.acquire(token=token)
        except BaseException:
            lock.local.token = token  # the lock may have been taken although its reply never came
            self._let_go(lock)
            raise
        if not held:
            await self._until_free(name, ttl_s)
            yield False
            return
        try:
            yield True
        finally:
            await asyncio.shield(self._let_go(lock))

    async def ping(self) -> None:
        with translated(STAGE):
            await self._client.ping()

    async def aclose(self) -> None:
        """Close the pool, after the locks that are being released."""
        await asyncio.gather(*self._releasing)
        await close(self._client)

    def _let_go(self, lock: Lock) -> asyncio.Task[None]:
        """In a task of its own: whoever is cancelled must not leave the others waiting until the lock expires."""
        releasing = asyncio.create_task(_release(lock))
        self._releasing.add(releasing)
        releasing.add_done_callback(self._releasing.discard)
        return releasing

    async def _until_free(self, name: str, ttl_s: float) -> None:
        pause_s = FIRST_POLL_S
        with suppress(TimeoutError):
            async with asyncio.timeout(ttl_s):
                while await self._exists(name):
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, LAST_POLL_S)

    async def _exists(self, name: str) -> bool:
        with translated(STAGE):
            return bool(await self._client.exists(name))


async def _release(lock: Lock) -> None:
    """Give up the lock where it is still ours; on an error it expires by itself, and the answer is not harmed."""
    with suppress(RedisError, RuntimeError):
        await lock.release()


def _milliseconds(ttl_s: float) -> int:
    return max(1, round(ttl_s * 1000))
