"""The Redis client as every adapter opens it: bounded, impatient, tried once; its errors in the service's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError

from service.errors import StageUnavailable, StartupError

if TYPE_CHECKING:
    from pydantic import SecretStr

POOL_WAIT_S = 0.5  # a burst queues for connections; a dead Redis costs a request no more than this


def open_client(url: SecretStr, *, connections: int, timeout_s: float) -> Redis:
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
            retry=Retry(NoBackoff(), 0),  # said, not left to defaults: tries are slower than having no Redis
        )
    except ValueError:  # the text may quote the password
        raise StartupError("RAG_REDIS_URL is no Redis URL; give redis://host:6379/0 or rediss://...") from None
    return Redis.from_pool(pool)


async def close(client: Redis) -> None:
    """Close the pool too, which the client leaves open where it did not make it."""
    await client.aclose()
    await client.connection_pool.disconnect()


@contextmanager
def translated(stage: str) -> Iterator[None]:
    """Name what failed, and what to do where a person must."""
    try:
        yield
    except (AuthenticationError, AuthorizationError) as exc:
        raise StageUnavailable(stage, "Redis refused the user or its password; correct RAG_REDIS_URL") from exc
    # RuntimeError is uvloop's word for a connection that was reset while nobody used it; redis-py lets it through.
    except (RedisError, RuntimeError) as exc:
        raise StageUnavailable(stage, f"Redis gave no answer ({type(exc).__name__}); is it up?") from exc
