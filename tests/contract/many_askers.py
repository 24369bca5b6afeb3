"""A process of askers for the same key; prints what each was answered. Run by the test of the Redis cache."""

from __future__ import annotations

import asyncio
import os
import sys

from pydantic import SecretStr
from redis.asyncio import Redis

from service.adapters.redis_cache import RedisCache


async def main(port: int, key: str, count: int) -> None:
    url = f"redis://127.0.0.1:{port}/0"
    cache = RedisCache.open(SecretStr(url), connections=5, timeout_s=2)
    async with Redis.from_url(url) as counting:

        async def ask() -> bytes:
            async with cache.lock(key, ttl_s=20) as first:
                kept = await cache.get(key)
                if kept is None:
                    assert first
                    await counting.incr(f"{key}:worked")
                    await asyncio.sleep(1)
                    kept = f"answer-of-{os.getpid()}".encode()
                    await cache.set(key, kept, ttl_s=60)
                return kept

        answers = await asyncio.gather(*(ask() for _ in range(count)))
    await cache.aclose()
    sys.stdout.write("\n".join(answer.decode() for answer in answers))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
