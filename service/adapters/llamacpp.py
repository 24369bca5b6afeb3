"""Generator port over llama.cpp's server: streaming chat completions, and its own tokenizer for exact counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

import httpx
from httpx_sse import EventSource

from service.adapters import chat_stream
from service.adapters.chat_stream import STAGE
from service.adapters.http_failure import failure
from service.errors import StageUnavailable

if TYPE_CHECKING:
    from service.ports import Delta, Message

CONNECT_S = 2.0
TOKENIZE_S = 5.0
REPEAT_PENALTY = 1.1  # llama.cpp's own classic default: small models loop without it


class LlamaCpp:
    """One server that decodes one answer at a time; requests beyond that wait in its queue."""

    def __init__(self, client: httpx.AsyncClient, *, model: str, context_tokens: int) -> None:
        self._client = client
        self._model = model
        self._context_tokens = context_tokens

    @classmethod
    def open(cls, url: str, *, model: str, context_tokens: int, connections: int, read_timeout_s: float) -> Self:
        """Make the client; nothing is sent before the first call."""
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        # `read_timeout_s` is the request's deadline, and no less: two cores may prefill for a minute.
        timeout = httpx.Timeout(read_timeout_s, connect=CONNECT_S)
        client = httpx.AsyncClient(base_url=url.rstrip("/"), limits=limits, timeout=timeout, trust_env=False)
        return cls(client, model=model, context_tokens=context_tokens)

    @property
    def model_id(self) -> str:
        return self._model

    @property
    def context_tokens(self) -> int:
        return self._context_tokens

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Exact, by the server's tokenizer."""
        return list(await asyncio.gather(*(self._count(text) for text in texts)))

    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[Delta]:
        """Closing the iterator closes the connection, and the server stops decoding."""
        body = {
            "model": self._model,
            "messages": [asdict(message) for message in messages],
            "max_tokens": max_tokens,
            "temperature": 0,
            "repeat_penalty": REPEAT_PENALTY,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return chat_stream.in_order(self._deltas(body), backend="llama.cpp")

    async def ping(self) -> None:
        """Raise StageUnavailable unless the model is loaded."""
        try:
            response = await self._client.get("/health", timeout=CONNECT_S)
        except httpx.HTTPError as exc:
            raise _unanswered(exc) from exc
        if response.status_code != httpx.codes.OK:
            raise _translate(response.status_code, response.content)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.aclose()

    async def _count(self, text: str) -> int:
        try:
            response = await self._client.post("/tokenize", json={"content": text}, timeout=TOKENIZE_S)
            response.raise_for_status()
            return len(response.json()["tokens"])
        except httpx.HTTPError as exc:
            raise _unanswered(exc) from exc
        except (ValueError, KeyError, TypeError) as exc:
            raise StageUnavailable(STAGE, "llama.cpp counted no tokens; is it llama.cpp's server?") from exc

    async def _deltas(self, body: dict[str, Any]) -> AsyncGenerator[Delta]:
        try:
            async with self._client.stream("POST", "/v1/chat/completions", json=body) as response:
                if response.is_error:
                    raise _translate(response.status_code, await response.aread())
                async for event in EventSource(response).aiter_sse():
                    if event.data != "[DONE]":  # read on to the end: the connection is used again
                        yield _parse(event.data)
        except httpx.HTTPError as exc:
            raise _unanswered(exc) from exc


def _unanswered(exc: httpx.HTTPError) -> StageUnavailable:
    """Callers read it too, so it names neither the address nor what may be in it."""
    return failure(STAGE, f"llama.cpp gave no answer ({type(exc).__name__}); is it up at RAG_LLAMACPP_URL?", exc)


def _parse(data: str) -> Delta:
    try:
        chunk: dict[str, Any] = json.loads(data)
        if "error" in chunk:
            raise StageUnavailable(STAGE, f"llama.cpp: {chunk['error']['message']}")
        return chat_stream.openai_delta(chunk)
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        raise StageUnavailable(STAGE, "llama.cpp sent what is no chat completion") from exc


def _translate(status: int, body: bytes) -> StageUnavailable:
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        return StageUnavailable(STAGE, "llama.cpp is loading its model", retry_after_s=10)
    return StageUnavailable(STAGE, f"llama.cpp answered {status}: {body[:200].decode(errors='replace')}")
