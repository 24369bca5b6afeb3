from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from service.adapters import openai_models
from service.adapters.openai_models import OpenAIGenerator, OpenAIQueryModel
from service.errors import RagError, StageUnavailable, StartupError, UpstreamExhausted, UpstreamThrottled
from service.ports import Delta, Usage
from tests.contract.contracts import PROMPT
from tests.real_processes import Door, HttpServer, free_port

CONNECTIONS = 3


@dataclass
class Api:
    """Answers every call with `answer`, after `delay_s`."""

    answer: Any = None
    delay_s: float = 0.0
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> Starlette:
        methods = ["GET", "POST"]
        return Starlette(routes=[Route("/v1/{path:path}", self._answer, methods=methods)])

    async def _answer(self, request: Request) -> Response:
        self.bodies.append(json.loads(await request.body() or b"{}"))
        await asyncio.sleep(self.delay_s)
        return self.answer() if callable(self.answer) and not isinstance(self.answer, Response) else self.answer


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def server(api: Api, door: Door) -> Iterator[HttpServer]:
    with door.opened(api.app()) as running:
        yield running


def client(url: str, *, read_timeout_s: float = 10) -> openai_models.openai.AsyncOpenAI:
    return openai_models.open_client(
        api_key=SecretStr("sk-hunter2"), base_url=f"{url}/v1", connections=CONNECTIONS, read_timeout_s=read_timeout_s
    )


@pytest.fixture
async def query_model(server: HttpServer) -> AsyncIterator[OpenAIQueryModel]:
    async with aclosing(OpenAIQueryModel(client(server.url), model="gpt-4o-mini")) as model:
        yield model


@pytest.fixture
async def generator(server: HttpServer) -> AsyncIterator[OpenAIGenerator]:
    async with aclosing(OpenAIGenerator(client(server.url), model="gpt-4o-mini", context_tokens=4096)) as model:
        yield model


def refusal(status: int, code: str | None = None, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"message": "for org-secret", "type": code, "code": code}}, status, headers)


def completion(content: str | None, *, finish_reason: str = "stop", refused: str | None = None) -> JSONResponse:
    message = {"role": "assistant", "content": content, "refusal": refused}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 59}
    fixed = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}
    return JSONResponse({**fixed, "choices": [choice], "usage": usage})


def streamed(*events: dict[str, Any], done: bool = True) -> StreamingResponse:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events] + (["data: [DONE]\n\n"] if done else [])
    return StreamingResponse(iter(lines), media_type="text/event-stream")


def piece(text: str | None = None, reason: str | None = None) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}


COUNTS = {"id": "c", "choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 2, "total_tokens": 52}}


async def texts(generator: OpenAIGenerator) -> list[Delta]:
    async with aclosing(generator.stream(PROMPT, max_tokens=64)) as stream:
        return [delta async for delta in stream]


ERRORS = [
    (refusal(401), StageUnavailable, "correct OPENAI_API_KEY", 5),
    (refusal(403), StageUnavailable, "correct OPENAI_API_KEY", 5),
    (refusal(404, "model_not_found"), StageUnavailable, "correct OPENAI_MODEL_ID", 5),
    (refusal(400), StageUnavailable, "the API answered 400", 5),
    (refusal(500), StageUnavailable, "the API answered 500", 5),
    (Response("<html>bad gateway</html>", 502), StageUnavailable, "the API answered 502", 5),
    (refusal(429, "rate_limit_exceeded", {"Retry-After": "7"}), UpstreamThrottled, "rate limited", 7),
    (refusal(429, "rate_limit_exceeded", {"Retry-After": "0.5"}), UpstreamThrottled, "rate limited", 0.5),
    (refusal(429, "rate_limit_exceeded", {"Retry-After": "soon"}), UpstreamThrottled, "rate limited", 5),
    (refusal(429), UpstreamThrottled, "rate limited", 5),
    (refusal(429, "insufficient_quota", {"Retry-After": "7"}), UpstreamExhausted, "no credit", None),
]


@pytest.mark.parametrize(("answer", "error", "message", "wait_s"), ERRORS)
async def test_an_error_is_translated_once_and_never_retried(
    api: Api, query_model: OpenAIQueryModel, generator: OpenAIGenerator,
    answer: Response, error: type[RagError], message: str, wait_s: float | None,
) -> None:  # fmt: skip
    api.answer = answer
    for stage, call in (
        ("self_query", query_model.self_query("q")),
        ("query_expansion", query_model.expand("q", 3)),
        ("generation", texts(generator)),
        ("generation", generator.ping()),
    ):
        api.bodies.clear()
        with pytest.raises(error, match=f"^{stage}: .*{message}") as raised:
            await call
        assert type(raised.value) is error
        assert raised.value.retry_after_s == wait_s
        assert "secret" not in raised.value.detail
        assert "hunter2" not in raised.value.detail
        assert len(api.bodies) == 1


async def test_a_date_to_wait_for_becomes_seconds(api: Api, query_model: OpenAIQueryModel) -> None:
    api.answer = refusal(429, None, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=30))})
    with pytest.raises(UpstreamThrottled) as throttled:
        await query_model.self_query("q")
    assert throttled.value.retry_after_s == pytest.approx(30, abs=2)


async def test_the_schema_is_strict_and_the_tokens_are_few(api: Api, query_model: OpenAIQueryModel) -> None:
    api.answer = completion('{"variant_1": " a ", "variant_2": "", "variant_3": "c"}')
    assert (await query_model.expand("q", 3)).variants == ("a", "c")
    body = api.bodies[0]
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["required"] == ["variant_1", "variant_2", "variant_3"]
    assert schema["schema"]["additionalProperties"] is False
    assert body["temperature"] == 0
    assert body["max_completion_tokens"] <= 200


@pytest.mark.parametrize(
    ("said", "author"),
    [
        ('{"author": "Ada  lovelace "}', "Ada lovelace"),
        ('{"author": null}', None),
        ('{"author": ""}', None),
        ('{"author": "Alan Turing"}', None),  # not in the question: made up
    ],
)
async def test_an_author_that_the_question_does_not_name_is_dropped(
    api: Api, query_model: OpenAIQueryModel, said: str, author: str | None
) -> None:
    api.answer = completion(said)
    found = await query_model.self_query("What did ADA Lovelace write?")
    assert (found.author, found.usage) == (author, Usage(50, 9))


@pytest.mark.parametrize(
    "answer",
    [
        completion("Sure! Here is"),
        completion('{"author": 5}'),
        completion('{"auth', finish_reason="length"),
        completion(None, finish_reason="content_filter"),
        completion(None, refused="I can't"),
        JSONResponse({"choices": []}),
    ],
)
async def test_an_answer_that_is_none_is_an_unavailable_stage(
    api: Api, query_model: OpenAIQueryModel, answer: Response
) -> None:
    api.answer = answer
    with pytest.raises(StageUnavailable, match=r"^self_query: gpt-4o-mini"):
        await query_model.self_query("q")


async def test_the_last_delta_carries_usage_and_reason(api: Api, generator: OpenAIGenerator) -> None:
    api.answer = lambda: streamed(piece(""), piece("Hel"), piece("lo"), piece(None, "stop"), COUNTS)
    assert await texts(generator) == [Delta("Hel"), Delta("lo"), Delta(usage=Usage(50, 2), finish_reason="stop")]


@pytest.mark.parametrize("events", [[], [piece("Hel")], [piece("Hel"), COUNTS]])
@pytest.mark.parametrize("done", [True, False])
async def test_a_stream_that_ends_early_is_an_error(
    api: Api, generator: OpenAIGenerator, events: list[dict[str, Any]], *, done: bool
) -> None:
    api.answer = lambda: streamed(*events, done=done)
    with pytest.raises(StageUnavailable, match="before it was complete"):
        await texts(generator)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("server_error", StageUnavailable),
        ("rate_limit_exceeded", UpstreamThrottled),
        ("insufficient_quota", UpstreamExhausted),
    ],
)
async def test_an_error_inside_the_stream_is_translated(
    api: Api, generator: OpenAIGenerator, code: str, error: type[RagError]
) -> None:
    api.answer = lambda: streamed(piece("Hel"), {"error": {"message": "secret", "code": code}}, done=False)
    with pytest.raises(error) as raised:
        await texts(generator)
    assert type(raised.value) is error
    assert "secret" not in raised.value.detail


async def test_connections_stay_within_the_pool_and_are_used_again(
    api: Api, server: HttpServer, query_model: OpenAIQueryModel
) -> None:
    api.answer, api.delay_s = completion('{"author": null}'), 0.02
    await asyncio.gather(*(query_model.self_query("q") for _ in range(30)))
    assert len(api.bodies) == 30
    assert 1 < server.accepted <= CONNECTIONS


async def test_the_read_limit_holds(api: Api, server: HttpServer) -> None:
    api.answer, api.delay_s = completion("{}"), 30
    async with aclosing(OpenAIQueryModel(client(server.url, read_timeout_s=0.2), model="m")) as model:
        began = time.monotonic()
        with pytest.raises(StageUnavailable, match="APITimeoutError"):
            await model.self_query("q")
        assert time.monotonic() - began < 2


async def test_an_absent_api_is_an_unavailable_stage() -> None:
    async with aclosing(OpenAIQueryModel(client(f"http://127.0.0.1:{free_port()}"), model="m")) as model:
        with pytest.raises(StageUnavailable, match="no answer from the API"):
            await model.self_query("q")


@pytest.mark.parametrize("url", ["", "api.example.com/v1", "ftp://example.com", "http://", "http://[::1"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StartupError, match="OPENAI_BASE_URL"):
        openai_models.open_client(api_key=SecretStr("sk-hunter2"), base_url=url, connections=1, read_timeout_s=1)
