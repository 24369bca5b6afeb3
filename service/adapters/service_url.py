"""RemoteService port: the /rag of another stack."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Self

import httpx

from service.adapters.http_failure import failure
from service.errors import StageUnavailable, UpstreamThrottled
from service.ports import Hit, RemoteAnswer, Usage
from service.telemetry.propagation import outgoing

if TYPE_CHECKING:
    from pydantic import SecretStr

STAGE = "generation"
CONNECT_S = 2.0


class ServiceUrl:
    """One other stack; its key is sent as a bearer token and never logged."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    def open(cls, url: str, *, api_key: SecretStr | None, connections: int, read_timeout_s: float) -> Self:
        """Make the client; nothing is sent before the first call."""
        headers = {"Authorization": f"Bearer {api_key.get_secret_value()}"} if api_key else {}
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        timeout = httpx.Timeout(read_timeout_s, connect=CONNECT_S)
        return cls(httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, limits=limits, timeout=timeout))

    async def ask(self, query: str, *, top_k: int, author: str | None) -> RemoteAnswer:
        body: dict[str, Any] = {"query": query, "topK": top_k}
        if author is not None:
            body["filters"] = {"author": author}
        response = await self._send("POST", "/rag", json=body, headers=outgoing())
        try:
            return _parse(response.json())
        except (ValueError, KeyError, TypeError, InvalidOperation) as exc:
            raise StageUnavailable(STAGE, f"{self._client.base_url} answered something that is no answer") from exc

    async def ping(self) -> None:
        await self._send("GET", "/readyz", timeout=CONNECT_S)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.aclose()

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        try:
            response = await self._client.request(method, path, **options)
        except httpx.HTTPError as exc:
            raise failure(STAGE, f"{self._client.base_url}: {type(exc).__name__}", exc) from exc
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise UpstreamThrottled(STAGE, f"{self._client.base_url} limits this key", retry_after_s=_wait_s(response))
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise StageUnavailable(STAGE, f"{self._client.base_url} knows no such key; correct RAG_FALLBACK_API_KEY")
        if response.is_error:
            raise StageUnavailable(STAGE, f"{self._client.base_url} answered {response.status_code}")
        return response


def _wait_s(response: httpx.Response) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdigit() else 5.0


def _parse(body: dict[str, Any]) -> RemoteAnswer:
    cost = body["usage"]["costUsd"]
    return RemoteAnswer(
        text=str(body["answer"]),
        citations=tuple(int(number) for number in body["citations"] if 1 <= int(number) <= len(body["sources"])),
        sources=tuple(
            Hit(
                id=source["id"],
                collection=source["collection"],
                score=float(source["score"]),
                title=source["title"],
                url=source["url"],
                author=source["author"],
                text="",
            )
            for source in body["sources"]
        ),
        usage=Usage(int(body["usage"]["inputTokens"]), int(body["usage"]["outputTokens"])),
        cost_usd=None if cost is None else Decimal(cost),
        degraded=tuple(str(stage) for stage in body["degraded"]),
    )
