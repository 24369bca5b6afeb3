"""HTTP to a deployed service: one reply per request within a total time, and one line for each way to get none."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from httpx_sse import EventSource, SSEError
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_delay

from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PASSING = frozenset({429, 502, 503, 504})  # what a deployment that settles, or a limit that was used up, answers
ASK_AGAIN_S = 2.0  # where an answer doesn't say when


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    path: str
    status: int
    media_type: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def retry_after_s(self) -> float | None:
        """When to ask again, where it says so in seconds."""
        said = self.headers.get("retry-after", "")
        return float(said) if said.isdecimal() else None


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event, and when it came: seconds after the request."""

    name: str
    data: str
    at_s: float


@dataclass(frozen=True, slots=True)
class ServiceClient:
    """Asks one deployed service; never follows a redirect, which could carry the key elsewhere.

    Attributes:
        patience_s: for how long a passing refusal (429, 502, 503, 504) is asked again.
    """

    http: httpx.AsyncClient
    url: str
    api_key: str | None = field(default=None, repr=False)
    patience_s: float = 0.0

    def calling_as(self, api_key: str | None) -> ServiceClient:
        """The same service asked with another key, or with none, and without patience."""
        return ServiceClient(self.http, self.url, api_key)

    async def get(self, path: str, *, limit_s: float) -> Reply:
        """GET `path` within `limit_s` seconds in all."""
        return await self._patiently("GET", path, None, limit_s)

    async def post(self, path: str, body: Mapping[str, object], *, limit_s: float) -> Reply:
        """POST `body` as JSON within `limit_s` seconds in all."""
        return await self._patiently("POST", path, body, limit_s)

    async def events(self, path: str, body: Mapping[str, object], *, limit_s: float) -> tuple[Reply, list[StreamEvent]]:
        """POST `body` and read the server-sent events until the stream ends; none where it is no stream."""
        now = asyncio.get_running_loop().time
        began, seen = now(), list[StreamEvent]()
        async with self._asked("POST", path, body, limit_s) as response:
            if response.status_code == httpx.codes.OK and "text/event-stream" in response.headers.get(
                "content-type", ""
            ):
                seen.extend(
                    [StreamEvent(e.event, e.data, now() - began) async for e in EventSource(response).aiter_sse()]
                )
            else:
                await response.aread()
            return _reply(path, response, "" if seen else response.text), seen

    async def _patiently(self, method: str, path: str, body: Mapping[str, object] | None, limit_s: float) -> Reply:
        again = AsyncRetrying(
            stop=stop_after_delay(self.patience_s),
            wait=self._wait,
            retry=retry_if_result(lambda reply: reply.status in PASSING),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        reply: Reply = await again(self._once, method, path, body, limit_s)
        return reply

    def _wait(self, state: RetryCallState) -> float:
        """Until when the answer says, and never beyond patience: tenacity looks at its stop only after an attempt."""
        reply: Any = state.outcome.result() if state.outcome else None
        said = reply.retry_after_s if isinstance(reply, Reply) else None
        left_s = max(0.0, self.patience_s - (state.seconds_since_start or 0.0))
        return min(ASK_AGAIN_S if said is None else said, left_s)

    async def _once(self, method: str, path: str, body: Mapping[str, object] | None, limit_s: float) -> Reply:
        async with self._asked(method, path, body, limit_s) as response:
            await response.aread()
            return _reply(path, response, response.text)

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, body: Mapping[str, object] | None, limit_s: float
    ) -> AsyncIterator[httpx.Response]:
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        try:
            # httpx limits each read; a service that sends a byte now and then is held to the total here.
            async with (
                asyncio.timeout(limit_s),
                self.http.stream(method, path, json=body, headers=headers, timeout=limit_s) as response,
            ):
                yield response
        except (TimeoutError, httpx.TimeoutException) as exc:
            raise CheckFailed(
                f"{path} gave no answer within {limit_s:g} s", next_step="read the service's log, or raise --timeout"
            ) from exc
        except httpx.ConnectError as exc:
            raise CheckFailed(
                f"nothing can be reached at {self.url}: {exc}",
                next_step="is it up? check `opsctl doctor` and its log",
            ) from exc
        except (httpx.HTTPError, SSEError) as exc:
            raise CheckFailed(
                f"{path} broke off: {type(exc).__name__}: {exc}", next_step="read the service's log"
            ) from exc


def _reply(path: str, response: httpx.Response, text: str) -> Reply:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Reply(path, response.status_code, media_type, text, dict(response.headers))


@asynccontextmanager
async def connect(url: str, *, api_key: str | None, patience_s: float = 0.0) -> AsyncIterator[ServiceClient]:
    """A client of the service at `url`; proxies of the environment are used for anything but this machine."""
    async with httpx.AsyncClient(base_url=url, verify=trusted(), trust_env=not is_loopback(url)) as http:
        yield ServiceClient(http, url, api_key, patience_s)


def trusted() -> ssl.SSLContext:
    """Whom to trust: the usual authorities, and the machine's own (a company's, or SSL_CERT_FILE)."""
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


def is_loopback(url: str) -> bool:
    """Whether `url` points at this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
