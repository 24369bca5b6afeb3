"""POST /rag and POST /search: translate between the wire and the pipeline, nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.sse import format_sse_event
from pydantic import BaseModel, TypeAdapter
from starlette.responses import Response

from service.api.deps import Call, CallDep
from service.api.disconnect import unless_gone
from service.api.errors import REFUSED, documented, explained, problem
from service.api.event_stream import EVENT_STREAM, STREAMED, EventStream
from service.api.schemas import (
    RagRequest,
    RagResponse,
    SearchRequest,
    SearchResponse,
    SearchResult,
    Source,
    Timings,
    TokenText,
    UsageOut,
)
from service.api.strict_json import StrictRoute
from service.ports import Hit
from service.rag.events import Answer, Event, Found, Question, Token
from service.rag.pipeline import last_of

router = APIRouter(tags=["rag"], route_class=StrictRoute)

_SOURCES = TypeAdapter(list[Source])


@router.post("/rag", response_model=RagResponse, responses=documented(*REFUSED) | STREAMED)
async def rag(body: RagRequest, request: Request, call: CallDep) -> Response:
    """An answer with its sources; server-sent events where `stream` or the Accept header asks for them."""
    events = call.state.answers.run(_question(body, call), call.deadline, call.exchange.trace)
    streamed = EVENT_STREAM in request.headers.get("accept", "").lower() if body.stream is None else body.stream
    if streamed:
        # The first event is awaited here, so that an error before it has its own status code.
        first = await unless_gone(request, anext(events))
        return EventStream(_encode(first, events, call), closing=events, deadline=call.deadline)
    return _json(_response(await unless_gone(request, last_of(events)), call))


@router.post("/search", response_model=SearchResponse, responses=documented(*REFUSED))
async def search(body: SearchRequest, request: Request, call: CallDep) -> Response:
    """Retrieval alone: the chunks, best first."""
    state, trace = call.state, call.exchange.trace
    hits = await unless_gone(request, state.pipeline.search(_question(body, call), trace, call.deadline))
    return _json(
        SearchResponse(
            results=[SearchResult(**asdict(hit)) for hit in hits],
            timings=Timings(**trace.timings_ms()),
            served_by=state.settings.served_by,
            degraded=trace.degraded,
            skipped=trace.skipped,
            request_id=call.request_id,
        )
    )


def _question(body: SearchRequest, call: Call) -> Question:
    top_k = body.top_k or call.state.settings.top_k
    return Question(body.query, top_k, body.filters.author, tenant=call.tenant, account=call.account)


def _response(answer: Answer, call: Call) -> RagResponse:
    trace = answer.trace
    cost_usd = trace.cost_usd
    return RagResponse(
        answer=answer.text,
        citations=list(answer.citations),
        sources=[source_of(hit) for hit in answer.sources],
        timings=Timings(**trace.timings_ms()),
        usage=UsageOut(
            input_tokens=trace.usage.input_tokens,
            output_tokens=trace.usage.output_tokens,
            cost_usd=None if cost_usd is None else f"{cost_usd:.6f}",
        ),
        cached=answer.cached,
        served_by=answer.served_by,
        degraded=trace.degraded,
        skipped=trace.skipped,
        request_id=call.request_id,
    )


def source_of(hit: Hit) -> Source:
    """A hit as the wire names it, without its text."""
    return Source(
        id=hit.id, collection=hit.collection, score=hit.score, title=hit.title, url=hit.url, author=hit.author
    )


async def _encode(first: Event, events: AsyncGenerator[Event], call: Call) -> AsyncIterator[bytes]:
    """`sources`, `token`..., `done`; or `error` where the stream breaks."""
    async with aclosing(events):
        try:
            yield _event(first, call)
            async for event in events:
                yield _event(event, call)
        except Exception as exc:  # noqa: BLE001 - the status is sent already: a reader must learn that this is no end
            yield _sse("error", problem(explained(exc, call.exchange), call.request_id))


def _event(event: Event, call: Call) -> bytes:
    match event:
        case Found(sources):
            return format_sse_event(
                event="sources", data_str=_SOURCES.dump_json([source_of(hit) for hit in sources]).decode()
            )
        case Token(text):
            return _sse("token", TokenText(text=text))
        case Answer():
            return _sse("done", _response(event, call))


def _sse(name: str, body: BaseModel) -> bytes:
    return format_sse_event(event=name, data_str=body.model_dump_json(by_alias=True, exclude_none=False))


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(by_alias=True), media_type="application/json")
