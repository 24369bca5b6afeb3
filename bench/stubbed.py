"""Servers for bench/overhead.py: the service over scripted backends that never wait, and a bare FastAPI route.

    python bench/stubbed.py edge|all|metered|bare --port N

`edge` has the stages of the stack `local`, `all` has every stage. `metered` is `all`; it counts, per request, the CPU
of the request's tasks, and answers with the counts on GET /own. That costs a little itself, so the comparison with
the bare route runs without it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
from collections import deque
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from time import thread_time
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from service.adapters.memory import MemoryCache
from service.app import create_app
from service.parts import Parts
from service.settings import Settings
from tests.fakes import FakeDocuments, FakeEmbedder, FakeGenerator, FakeQueryModel, FakeReranker, FakeStore, hit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PASSAGE = "Supervisor is a client/server system that controls processes on UNIX-like operating systems. " * 7
FORGET: Any = deque(maxlen=0)  # what a fake remembers of each call would grow for ever
KEPT = 100_000  # counts until they are fetched


def _service(**more: Any) -> FastAPI:  # noqa: ANN401 - parts by name
    settings = Settings(vector_store="qdrant", qdrant_url="http://unused", metrics_port=0)
    hits = [hit(f"h{n:02}", score=0.9 - n / 100, text=f"{n}: {PASSAGE}") for n in range(settings.candidates)]
    parts = Parts(
        embedder=FakeEmbedder(seen=FORGET),
        store=FakeStore(hits=hits, calls=FORGET),
        documents=FakeDocuments(ids={"Ada": ("ada",)}),
        generator=FakeGenerator(prompts=FORGET),
        **more,
    )
    return create_app(settings, parts)


def edge() -> FastAPI:
    """Embedding, search, generation."""
    return _service()


def every_stage() -> FastAPI:
    """Two query-model calls, four wordings of 20 candidates each, reranking, generation, cache."""
    return _service(
        query_model=FakeQueryModel(author="Ada", variants=("what supervises processes", "process control", "init")),
        reranker=FakeReranker(batches=FORGET),
        cache=MemoryCache(entries=1000),
    )


class BareRequest(BaseModel):
    """The body."""

    query: str


class BareAnswer(BaseModel):
    """The response."""

    answer: str


def bare() -> FastAPI:
    """What FastAPI costs: a parsed body, a serialised model, nothing between."""
    app = FastAPI()

    @app.post("/rag")
    async def rag(body: BareRequest) -> BareAnswer:
        return BareAnswer(answer=body.query)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    return app


class Clock:
    """CPU seconds that one request has used; its child tasks inherit it through their context."""

    def __init__(self) -> None:
        self.cpu_s = 0.0


CLOCK: ContextVar[Clock | None] = ContextVar("clock", default=None)


class Metered(Coroutine[Any, Any, Any]):
    """A task's coroutine whose every step is added to a clock."""

    def __init__(self, work: Coroutine[Any, Any, Any], clock: Clock) -> None:
        self._work = work
        self._clock = clock

    def send(self, value: object) -> object:
        """Count a step."""
        started = thread_time()
        try:
            return self._work.send(value)
        finally:
            self._clock.cpu_s += thread_time() - started

    def throw(self, *error: Any) -> object:  # noqa: ANN401 - as Coroutine has it
        """Count a step that begins with an exception."""
        started = thread_time()
        try:
            return self._work.throw(*error)
        finally:
            self._clock.cpu_s += thread_time() - started

    def close(self) -> None:
        """Close the coroutine."""
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._work.__await__()


def metered_task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:  # noqa: ANN401
    """Task factory: a request's task starts a clock (uvicorn gives it a fresh context), its children share it."""
    clock = CLOCK.get()
    return asyncio.Task(work if clock is None else Metered(work, clock), loop=loop, **options)


class Meter:
    """Runs each request as a metered task; GET /own answers with the milliseconds since it was last asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._own_ms: deque[float] = deque(maxlen=KEPT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Meter the request, or report."""
        if scope["type"] == "lifespan":
            asyncio.get_running_loop().set_task_factory(metered_task)
            await self._app(scope, receive, send)
        elif scope["path"] == "/own":
            body = json.dumps(list(self._own_ms)).encode()
            self._own_ms.clear()
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            clock = Clock()
            CLOCK.set(clock)
            await asyncio.create_task(self._app(scope, receive, send))
            self._own_ms.append(clock.cpu_s * 1000)


APPS = {"edge": edge, "all": every_stage, "metered": lambda: Meter(every_stage()), "bare": bare}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app", choices=APPS)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    app = APPS[options.app]()
    gc.collect()
    gc.freeze()  # and the options below: as `python -m service` runs uvicorn
    uvicorn.run(app, port=options.port, access_log=False, log_level="warning", server_header=False)


if __name__ == "__main__":
    main()
