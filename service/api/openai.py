"""The OpenAI shape: any OpenAI client or chat UI is a front end.

The last user message is the question; earlier turns are accepted and not used, since every answer comes from the
documents. Errors carry both the problem members and OpenAI's `error` object.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.responses import Response

from service.api.deps import Call, CallDep
from service.api.disconnect import unless_gone
from service.api.errors import REFUSED, documented, explained, openai_error
from service.api.event_stream import STREAMED, EventStream
from service.api.rag import source_of
from service.api.schemas import MAX_QUERY_CHARS, WHOLE, Source
from service.api.strict_json import StrictRoute
from service.errors import BadRequest
from service.rag.events import Answer, Events, Question, Token
from service.rag.pipeline import last_of

router = APIRouter(prefix="/v1", tags=["openai"], route_class=StrictRoute)

MODEL = "rag-platform"
MAX_MESSAGES = 200


class ChatPart(BaseModel):
    """A piece of a message; only text is understood."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """A turn; only text content is understood."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ChatPart] | None = None


class StreamOptions(BaseModel):
    """What a stream carries besides its text."""

    model_config = ConfigDict(extra="ignore")

    include_usage: StrictBool = False


class ChatRequest(BaseModel):
    """A chat completion request; sampling parameters are accepted and have no effect."""

    model_config = ConfigDict(extra="ignore")

    model: str = MODEL
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, strict=True), WHOLE] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, strict=True), WHOLE] | None = None
    n: Literal[1] | None = None


class ChoiceMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """The only one."""

    index: int = 0
    message: ChoiceMessage
    finish_reason: Literal["stop", "length"]


class ChatUsage(BaseModel):
    """Tokens of all model calls that the answer took."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    """A chat completion, with the sources as one member more."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    sources: list[Source]


class Model(BaseModel):
    """What can be asked for by `model`."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = MODEL


class Models(BaseModel):
    """The list of one."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.head("/models", include_in_schema=False)
@router.get("/models", responses=documented(401, 429))
async def models() -> Models:
    """The one model: this service."""
    return Models(data=[Model(id=MODEL)])


@router.post("/chat/completions", response_model=ChatCompletion, responses=documented(*REFUSED) | STREAMED)
async def chat_completions(body: ChatRequest, request: Request, call: CallDep) -> Response:
    """An answer from the documents, in OpenAI's shape; chunks where `stream` is true."""
    events = call.state.answers.run(_question(body, call), call.deadline, call.exchange.trace)
    if body.stream:
        # The first event is awaited here, so that an error before it has its own status code.
        await unless_gone(request, anext(events))
        return EventStream(_chunks(events, body, call), closing=events, deadline=call.deadline)
    answer = await unless_gone(request, last_of(events))
    completion = ChatCompletion(
        id=f"chatcmpl-{call.request_id}",
        created=int(time.time()),
        model=body.model,
        choices=[Choice(message=ChoiceMessage(content=answer.text), finish_reason=answer.finish_reason)],
        usage=_usage(answer),
        sources=[source_of(hit) for hit in answer.sources],
    )
    return Response(completion.model_dump_json(by_alias=True), media_type="application/json")


def _question(body: ChatRequest, call: Call) -> Question:
    asked = next((message for message in reversed(body.messages) if message.role == "user"), None)
    content = asked.content if asked else None
    text = content if isinstance(content, str) else " ".join(part.text for part in content or ())
    text = text.strip()
    if not text:
        raise BadRequest("messages: the last user message is empty; it is the question")
    if len(text) > MAX_QUERY_CHARS:
        raise BadRequest(f"messages: the last user message has {len(text)} characters; {MAX_QUERY_CHARS} are allowed")
    max_tokens = body.max_completion_tokens or body.max_tokens
    top_k = call.state.settings.top_k
    return Question(text, top_k, max_tokens=max_tokens, tenant=call.tenant, account=call.account)


def _usage(answer: Answer) -> ChatUsage:
    usage = answer.trace.usage
    total = usage.input_tokens + usage.output_tokens
    return ChatUsage(prompt_tokens=usage.input_tokens, completion_tokens=usage.output_tokens, total_tokens=total)


async def _chunks(events: Events, body: ChatRequest, call: Call) -> AsyncIterator[bytes]:
    """OpenAI's chunks; a stream that breaks ends with an `error` object and without [DONE]."""
    shape = {
        "id": f"chatcmpl-{call.request_id}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": body.model,
    }

    def chunk(**members: object) -> bytes:
        return b"data: " + _Chunk(**shape, **members).model_dump_json(exclude_unset=True).encode() + b"\n\n"

    written = ""
    async with aclosing(events):
        try:
            yield chunk(choices=[_delta({"role": "assistant", "content": ""})])
            async for event in events:
                if isinstance(event, Token):
                    written += event.text
                    yield chunk(choices=[_delta({"content": event.text})])
                elif isinstance(event, Answer):
                    # The checked text may end in a mark that the model left out.
                    if event.text.startswith(written.strip()) and (rest := event.text[len(written.strip()) :]):
                        yield chunk(choices=[_delta({"content": rest})])
                    yield chunk(
                        choices=[_delta({}, event.finish_reason)],
                        sources=[source_of(hit) for hit in event.sources],
                    )
                    if body.stream_options and body.stream_options.include_usage:
                        yield chunk(choices=[], usage=_usage(event))
            yield b"data: [DONE]\n\n"
        except Exception as exc:  # noqa: BLE001 - the status is sent already: a reader must learn that this is no end
            yield b"data: " + openai_error(explained(exc, call.exchange)).model_dump_json().encode() + b"\n\n"


class _Chunk(BaseModel):
    id: str
    object: str
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: ChatUsage | None = None
    sources: list[Source] | None = None


def _delta(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}
