"""Windows that all processes of a deployment share: one script per take, so that check and count are one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.access.windows import BUCKETS, Taken, Window
from service.adapters.redis_client import close, open_client, translated

if TYPE_CHECKING:
    from typing import Self

    from pydantic import SecretStr
    from redis.asyncio import Redis

STAGE = "limits"
PREFIX = "rag:window:"

# A hash of bucket -> amount. The server's clock, so that processes whose clocks differ share buckets.
TAKE = """
local width, buckets = tonumber(ARGV[1]), tonumber(ARGV[2])
local limit, amount = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local current = math.floor(now / width)
local held = redis.call('HGETALL', KEYS[1])
local live, gone, excess = {}, {}, amount - limit
for i = 1, #held, 2 do
  local bucket, count = tonumber(held[i]), tonumber(held[i + 1])
  if bucket >= current - buckets then
    live[#live + 1] = {bucket, count}
    excess = excess + count
  else
    gone[#gone + 1] = held[i]
  end
end
if #gone > 0 then
  redis.call('HDEL', KEYS[1], unpack(gone))
end
if excess <= 0 then
  redis.call('HINCRBY', KEYS[1], current, amount)
  redis.call('PEXPIRE', KEYS[1], width * (buckets + 2))
  return {1, current, 0}
end
table.sort(live, function(a, b) return a[1] < b[1] end)
local last = current
for _, pair in ipairs(live) do
  last = pair[1]
  excess = excess - pair[2]
  if excess <= 0 then break end
end
return {0, current, (last + buckets + 1) * width - now}
"""

CORRECT = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
end
"""


class RedisWindows:
    """Windows port over one Redis or Valkey."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._take = client.register_script(TAKE)
        self._correct = client.register_script(CORRECT)

    @classmethod
    def open(cls, url: SecretStr, *, connections: int, timeout_s: float) -> Self:
        """Make the client; nothing is sent before the first call. `timeout_s` bounds each wait on the socket."""
        return cls(open_client(url, connections=connections, timeout_s=timeout_s))

    async def take(self, window: Window, amount: int) -> Taken:
        with translated(STAGE):
            arguments = [_width_ms(window), BUCKETS, window.limit, amount]
            fits, bucket, wait_ms = await self._take(keys=[PREFIX + window.key], args=arguments)
        return Taken(fits=bool(fits), wait_s=wait_ms / 1000, bucket=bucket, by=self)

    async def correct(self, window: Window, bucket: int, by: int) -> None:
        with translated(STAGE):
            await self._correct(keys=[PREFIX + window.key], args=[bucket, by])

    async def aclose(self) -> None:
        """Close the pool."""
        await close(self._client)


def _width_ms(window: Window) -> int:
    return max(1, round(window.bucket_s * 1000))
