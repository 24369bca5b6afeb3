"""OpenAI, or what speaks its API: the query model (structured output) and a generator, through the official client.

The client's own retries are off: the pipeline tries again, and nobody below it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx2
import openai
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from service.adapters import chat_stream
from service.adapters.token_bound import upper_bound
from service.errors import StageUnavailable, StartupError, Unreachable, UpstreamExhausted, UpstreamThrottled
from service.ports import Expansion, SelfQuery, Usage

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam
    from pydantic import SecretStr

    from service.ports import Delta, Message

CONNECT_S = 2.0
PING_S = 2.0
AUTHOR_TOKENS = 48  # counted against the account's limit up front, so no larger than a name needs
VARIANT_TOKENS = 64
UNSAID_WAIT_S = 5.0
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
EXHAUSTED = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}

SELF_QUERY = (
    "Does the question ask for texts by a certain person? Give that person's name as the question writes it, else null."
)
EXPAND = "Rewrite the search query in {count} other wordings, same meaning, same language."

T = TypeVar("T", bound=BaseModel)


class _Author(BaseModel):
    model_config = ConfigDict(extra="forbid")

    author: str | None


@cache
def _variants(count: int) -> type[BaseModel]:
    """One named field per variant: a strict schema can't bound the length of a list."""
    fields: dict[str, Any] = {f"variant_{number}": (str, Field()) for number in range(1, count + 1)}
    return create_model("Variants", __config__=ConfigDict(extra="forbid"), **fields)


def open_client(
    *,
    api_key: SecretStr,
    base_url: str | None,
    connections: int,
    read_timeout_s: float,
    quota: Callable[[str, float], None] | None = None,
) -> openai.AsyncOpenAI:
    """The client with its own pool; nothing is sent before the first call.

    `quota` is told how many `requests` and `tokens` each response says are left.

    Raises:
        StartupError: `base_url` is no URL.
    """
    if base_url is not None and not is_url(base_url):
        raise StartupError(f"OPENAI_BASE_URL: {base_url} is no URL; give http(s)://host/v1, or leave it unset")
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    timeout = httpx2.Timeout(read_timeout_s, connect=CONNECT_S)

    async def note(response: httpx2.Response) -> None:
        for kind in ("requests", "tokens"):
            left = response.headers.get(f"x-ratelimit-remaining-{kind}", "")
            if quota is not None and left.isdecimal():
                quota(kind, float(left))

    return openai.AsyncOpenAI(
        api_key=api_key.get_secret_value(),
        base_url=base_url,
        max_retries=0,
        timeout=timeout,
        http_client=openai.DefaultAsyncHttpxClient(limits=limits, timeout=timeout, event_hooks={"response": [note]}),
    )


def is_url(text: str) -> bool:
    """Whether it is an address that the client can use."""
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        return False
    return url.scheme in {"http", "https"} and bool(url.host)


class OpenAIQueryModel:
    """QueryModel port: answers are JSON that the API holds to a schema."""

    def __init__(self, client: openai.AsyncOpenAI, *, model: str) -> None:
        self._client = client
        self._completions = client.chat.completions  # now: it loads modules, for which a busy process has no descriptor
        self._model = model

    async def self_query(self, query: str) -> SelfQuery:
        """The author as the query writes it; a name that is not in the query was made up, and is dropped."""
        asked, usage = await self._ask("self_query", SELF_QUERY, query, _Author, max_tokens=AUTHOR_TOKENS)
        author = " ".join((asked.author or "").split())
        known = author and author.casefold() in " ".join(query.split()).casefold()
        return SelfQuery(author if known else None, usage)

    async def expand(self, query: str, count: int) -> Expansion:
        schema, limit = _variants(count), VARIANT_TOKENS * count
        asked, usage = await self._ask("query_expansion", EXPAND.format(count=count), query, schema, max_tokens=limit)
        return Expansion(tuple(text.strip() for text in asked.model_dump().values() if text.strip()), usage)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.close()

    async def _ask(self, stage: str, task: str, query: str, schema: type[T], *, max_tokens: int) -> tuple[T, Usage]:
        with _translated(stage, self._model):
            completion = await self._completions.parse(
                model=self._model,
                messages=[{"role": "system", "content": task}, {"role": "user", "content": query}],
                response_format=schema,
                max_completion_tokens=max_tokens,
                temperature=0,
            )
        answer = completion.choices[0].message.parsed if completion.choices else None
        if answer is None:
            raise StageUnavailable(stage, f"{self._model} declined to answer")
        counted = completion.usage
        return answer, Usage(counted.prompt_tokens, counted.completion_tokens) if counted else Usage()


class OpenAIGenerator:
    """Generator port over chat completions."""

    def __init__(self, client: openai.AsyncOpenAI, *, model: str, context_tokens: int) -> None:
        self._client = client
        self._completions = client.chat.completions  # now: it loads modules, for which a busy process has no descriptor
        self._model = model
        self._context_tokens = context_tokens

    @property
    def model_id(self) -> str:
        return self._model

    @property
    def context_tokens(self) -> int:
        return self._context_tokens

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Upper bounds: the tokenizer's file would have to be fetched."""
        return [upper_bound(text) for text in texts]

    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[Delta]:
        """Closing the iterator closes the connection."""
        return chat_stream.in_order(self._deltas(messages, max_tokens), backend=self._model)

    async def ping(self) -> None:
        """List the models: free of charge, and refused where the key is wrong."""
        with _translated(chat_stream.STAGE, self._model):
            await self._client.models.list(timeout=PING_S)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.close()

    async def _deltas(self, messages: Sequence[Message], max_tokens: int) -> AsyncGenerator[Delta]:
        with _translated(chat_stream.STAGE, self._model):
            stream = await self._completions.create(
                model=self._model,
                messages=cast("list[ChatCompletionMessageParam]", [asdict(message) for message in messages]),
                max_completion_tokens=max_tokens,
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
            async with stream:
                async for chunk in stream:
                    yield chat_stream.openai_delta(chunk.model_dump())


@contextmanager
def _translated(stage: str, model: str) -> Iterator[None]:
    try:
        yield
    except openai.APIError as exc:
        raise _error(stage, model, exc) from exc
    except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError, ValidationError) as exc:
        raise StageUnavailable(stage, f"{model} gave no whole answer ({type(exc).__name__})") from exc
    except (ValueError, LookupError, TypeError, AttributeError) as exc:  # JSON of another shape, or none
        raise StageUnavailable(stage, f"{model}: what was sent is no completion; is OPENAI_BASE_URL right?") from exc


def _error(stage: str, model: str, exc: openai.APIError) -> StageUnavailable:
    if exc.code in EXHAUSTED or exc.type in EXHAUSTED:
        return UpstreamExhausted(
            stage, "the OpenAI account has no credit or is over its spending limit; top it up", retry_after_s=None
        )
    if isinstance(exc, openai.RateLimitError) or exc.code == "rate_limit_exceeded":
        wait_s = _retry_after_s(exc.response.headers) if isinstance(exc, openai.RateLimitError) else UNSAID_WAIT_S
        return UpstreamThrottled(stage, f"{model} is rate limited", retry_after_s=wait_s)
    kind = Unreachable if isinstance(exc.__cause__, NOT_SENT) else StageUnavailable
    return kind(stage, reason_of(model, exc))


def reason_of(model: str, exc: openai.APIError) -> str:
    """What went wrong, and the setting that corrects it."""
    if isinstance(exc, openai.AuthenticationError | openai.PermissionDeniedError):
        return f"the key was refused ({exc.status_code}); correct OPENAI_API_KEY"
    if isinstance(exc, openai.NotFoundError):
        return f"there is no model {model} for this key; correct OPENAI_MODEL_ID"
    if isinstance(exc, openai.APIStatusError):
        return f"{model}: the API answered {exc.status_code}"
    if isinstance(exc, openai.APIConnectionError):
        return f"{model}: no answer from the API ({type(exc).__name__})"
    return f"{model}: the API broke off the answer ({exc.code or exc.type or 'error'})"


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds that the API asked for, as seconds or as a date."""
    said = headers.get("retry-after", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return UNSAID_WAIT_S
