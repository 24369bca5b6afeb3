"""RemoteService port: the /rag of another stack."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError
from pydantic.alias_generators import to_camel

from service.adapters.http_failure import failure
from service.errors import StageUnavailable, UpstreamThrottled
from service.ports import Hit, RemoteAnswer, Usage
from service.telemetry.propagation import outgoing

if TYPE_CHECKING:
    from pydantic import SecretStr

    from service.access.bearer import Bearer

STAGE = "generation"
CONNECT_S = 2.0


class _Model(BaseModel):
    # A newer stack may say more.
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class _Source(_Model):
    id: str
    collection: str
    score: Annotated[float, Field(allow_inf_nan=False)]
    title: str
    url: str
    author: str


class _Usage(_Model):
    input_tokens: NonNegativeInt
    output_tokens: NonNegativeInt
    cost_usd: Annotated[Decimal, Field(ge=0)] | None


class _Body(_Model):
    answer: str
    citations: tuple[int, ...]
    sources: tuple[_Source, ...]
    usage: _Usage
    degraded: tuple[str, ...]

    def answered(self) -> RemoteAnswer:
        return RemoteAnswer(
            text=self.answer,
            citations=tuple(number for number in self.citations if 1 <= number <= len(self.sources)),
            sources=tuple(Hit(**source.model_dump(), text="") for source in self.sources),
            usage=Usage(self.usage.input_tokens, self.usage.output_tokens),
            cost_usd=self.usage.cost_usd,
            degraded=self.degraded,
        )


class ServiceUrl:
    """One other stack; its key is sent as a bearer token and never logged, and of its address errors name the host."""

    def __init__(self, client: httpx.AsyncClient, bearer: Bearer | None = None) -> None:
        self._client = client
        self._bearer = bearer
        self._host = client.base_url.host

    @classmethod
    def open(
        cls,
        url: str,
        *,
        api_key: SecretStr | None,
        connections: int,
        read_timeout_s: float,
        bearer: Bearer | None = None,
    ) -> Self:
        """Make the client; nothing is sent before the first call. A `bearer` is a key that is kept elsewhere."""
        headers = {"Authorization": f"Bearer {api_key.get_secret_value()}"} if api_key else {}
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        timeout = httpx.Timeout(read_timeout_s, connect=CONNECT_S)
        client = httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, limits=limits, timeout=timeout)
        return cls(client, bearer)

    async def ask(self, query: str, *, top_k: int, author: str | None) -> RemoteAnswer:
        body: dict[str, Any] = {"query": query, "topK": top_k}
        if author is not None:
            body["filters"] = {"author": author}
        response = await self._send("POST", "/rag", json=body, headers=outgoing() | await self._shown())
        try:
            return _Body.model_validate_json(response.content).answered()
        except ValidationError as exc:
            raise StageUnavailable(STAGE, f"{self._host} answered something that is no answer") from exc

    async def ping(self) -> None:
        await self._send("GET", "/readyz", timeout=CONNECT_S)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.aclose()

    async def _shown(self) -> dict[str, str]:
        if self._bearer is None:
            return {}
        try:
            return {"Authorization": f"Bearer {await self._bearer.value()}"}
        except OSError as exc:
            raise StageUnavailable(STAGE, f"the key for {self._host} can't be read: {exc.strerror or exc}") from exc

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        try:
            response = await self._client.request(method, path, **options)
        except httpx.HTTPError as exc:
            raise failure(STAGE, f"{self._host}: {type(exc).__name__}", exc) from exc
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise UpstreamThrottled(STAGE, f"{self._host} limits this key", retry_after_s=_wait_s(response))
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise StageUnavailable(
                STAGE, f"{self._host} knows no such key; correct RAG_FALLBACK_API_KEY (secrets.fallbackApiKey)"
            )
        if response.is_error:
            raise StageUnavailable(STAGE, f"{self._host} answered {response.status_code}")
        return response


def _wait_s(response: httpx.Response) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else 5.0
