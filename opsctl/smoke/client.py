"""HTTP to a deployed service: one reply per request within a total time, and one line for each way to get none."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    path: str
    status: int
    media_type: str
    text: str


class ServiceClient:
    """Asks one deployed service; never follows a redirect, which could carry the key elsewhere."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def get(self, path: str, *, limit_s: float) -> Reply:
        """GET `path` within `limit_s` seconds in all."""
        return await self._ask("GET", path, None, limit_s)

    async def post(self, path: str, body: Mapping[str, object], *, limit_s: float) -> Reply:
        """POST `body` as JSON within `limit_s` seconds in all."""
        return await self._ask("POST", path, body, limit_s)

    async def _ask(self, method: str, path: str, body: Mapping[str, object] | None, limit_s: float) -> Reply:
        try:
            # httpx limits each read; a service that sends a byte now and then is held to the total here.
            async with asyncio.timeout(limit_s):
                response = await self._http.request(method, path, json=body, timeout=limit_s)
        except (TimeoutError, httpx.TimeoutException) as exc:
            raise CheckFailed(
                f"{path} gave no answer within {limit_s:g} s", next_step="read the service's log, or raise --timeout"
            ) from exc
        except httpx.ConnectError as exc:
            raise CheckFailed(
                f"nothing can be reached at {self._http.base_url}: {exc}",
                next_step="is it up? check `opsctl doctor` and its log",
            ) from exc
        except httpx.HTTPError as exc:
            raise CheckFailed(
                f"{path} broke off: {type(exc).__name__}: {exc}", next_step="read the service's log"
            ) from exc
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Reply(path, response.status_code, media_type, response.text)


@asynccontextmanager
async def connect(url: str, *, api_key: str | None) -> AsyncIterator[ServiceClient]:
    """A client of the service at `url`; proxies of the environment are used for anything but this machine."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=not is_loopback(url)) as http:
        yield ServiceClient(http)


def is_loopback(url: str) -> bool:
    """Whether `url` points at this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
