"""Redis: the cache that all processes of a deployment share, and the lock that lets one of them do the work."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Self, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.lock import Lock
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError

from service.errors import StageUnavailable, StartupError

if TYPE_CHECKING:
    from pydantic import SecretStr

STAGE = "cache"
POOL_WAIT_S = 0.5  # a burst queues for connections; a dead Redis costs a request no more than this
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
        try:
            pool = BlockingConnectionPool.from_url(
                url.get_secret_value(),
                max_connections=connections,
                timeout=POOL_WAIT_S,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),  # said, not left to defaults: tries are slower than having no cache
            )
        except ValueError:  # the text may quote the password
            raise StartupError("RAG_REDIS_URL is no Redis URL; give redis://host:6379/0 or rediss://...") from None
        return cls(Redis.from_pool(pool))

    async def get(self, key: str) -> bytes | None:
        with _translated():
            return cast("bytes | None", await self._client.get(key))  # the pool decodes nothing

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        with _translated():
            await self._client.set(key, value, px=_milliseconds(ttl_s))

    @asynccontextmanager
    async def lock(self, key: str, *, ttl_s: float) -> AsyncIterator[bool]:
        name = f"{key}:lock"
        lock = self._client.lock(name, timeout=_milliseconds(ttl_s) / 1000, blocking=False, thread_local=False)
        token = uuid.uuid4().hex.encode()
        try:
            with _translated():
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
        with _translated():
            await self._client.ping()

    async def aclose(self) -> None:
        """Close the pool, after the locks that are being released."""
        await asyncio.gather(*self._releasing)
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

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
        with _translated():
            return bool(await self._client.exists(name))


async def _release(lock: Lock) -> None:
    """Give up the lock where it is still ours; on an error it expires by itself, and the answer is not harmed."""
    with suppress(RedisError):
        await lock.release()


def _milliseconds(ttl_s: float) -> int:
    return max(1, round(ttl_s * 1000))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (AuthenticationError, AuthorizationError) as exc:
        raise StageUnavailable(STAGE, "Redis refused the user or its password; correct RAG_REDIS_URL") from exc
    except RedisError as exc:
        raise StageUnavailable(STAGE, f"Redis gave no answer ({type(exc).__name__}); is it up?") from exc
