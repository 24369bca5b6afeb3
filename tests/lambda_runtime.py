"""A stand-in for Lambda's Runtime and Extensions APIs: what an execution environment asks, and what it is told.

It keeps when each piece of a streamed response arrived. It freezes and thaws nothing, limits neither memory nor time
nor the size of a response, and knows no SnapStart.
"""

from __future__ import annotations

import asyncio
import json
import queue
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.real_processes import HttpServer, serve

RUNTIME, EXTENSION = "/2018-06-01/runtime", "/2020-01-01/extension"
FUNCTION = "arn:aws:lambda:eu-north-1:123456789012:function:rag"
LIMIT_S = 120
PRELUDE_END = b"\0" * 8  # between what a stream says about itself and its body
POLL_S = 0.005


@dataclass
class Invocation:
    """One event, and what came back: pieces of the body, each with the seconds since the event was handed out."""

    event: Mapping[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    error: Any = None
    handed_out: float = 0.0
    ended: bool = False

    @property
    def streamed(self) -> tuple[dict[str, Any], bytes]:
        """What a streamed response says about itself, and its body."""
        head, _, body = b"".join(piece for _, piece in self.pieces).partition(PRELUDE_END)
        return json.loads(head), body

    def wait(self, within_s: float = LIMIT_S) -> Invocation:
        began = time.monotonic()
        while not self.ended:
            assert time.monotonic() - began < within_s, "no response"
            time.sleep(POLL_S)
        return self


@dataclass
class LambdaRuntime:
    """One execution environment."""

    address: str = ""
    registered: list[str] = field(default_factory=list)
    ready_at: float | None = None  # time.monotonic() of the first ask for work: initialization is over
    init_error: Any = None
    _waiting: queue.Queue[Invocation] = field(default_factory=queue.Queue)
    _given: dict[str, Invocation] = field(default_factory=dict)
    _over: bool = False

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(f"{EXTENSION}/register", self._register, methods=["POST"]),
                Route(f"{EXTENSION}/event/next", self._next_event),
                Route(f"{RUNTIME}/invocation/next", self._next),
                Route(f"{RUNTIME}/invocation/{{id}}/response", self._response, methods=["POST"]),
                Route(f"{RUNTIME}/invocation/{{id}}/error", self._error, methods=["POST"]),
                Route(f"{RUNTIME}/init/error", self._failed, methods=["POST"]),
            ]
        )

    def invoke(self, event: Mapping[str, Any]) -> Invocation:
        """Hand an event to whoever asks next."""
        invocation = Invocation(event)
        self._waiting.put(invocation)
        return invocation

    def end(self) -> None:
        """Whoever waits is told nothing more."""
        self._over = True

    async def _register(self, request: Request) -> Response:
        self.registered.append(request.headers["Lambda-Extension-Name"])
        about = {"functionName": "rag", "functionVersion": "1", "handler": "", "accountId": "123456789012"}
        return JSONResponse(about, headers={"Lambda-Extension-Identifier": str(uuid.uuid4())})

    async def _next_event(self, _: Request) -> Response:
        while not self._over:
            await asyncio.sleep(POLL_S)
        return JSONResponse({"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 0})

    async def _next(self, _: Request) -> Response:
        self.ready_at = self.ready_at or time.monotonic()
        while not self._over:
            try:
                invocation = self._waiting.get_nowait()
            except queue.Empty:
                await asyncio.sleep(POLL_S)
                continue
            self._given[invocation.id] = invocation
            invocation.handed_out = time.monotonic()
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + LIMIT_S) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": FUNCTION,
                "Lambda-Runtime-Trace-Id": "Root=1-5e1b4151-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0",
            }
            return JSONResponse(dict(invocation.event), headers=headers)
        return Response(status_code=410)

    async def _response(self, request: Request) -> Response:
        invocation = self._given[request.path_params["id"]]
        invocation.headers = dict(request.headers)
        async for piece in request.stream():
            if piece:
                invocation.pieces.append((time.monotonic() - invocation.handed_out, piece))
        invocation.ended = True
        return JSONResponse({"status": "OK"}, 202)

    async def _error(self, request: Request) -> Response:
        invocation = self._given[request.path_params["id"]]
        invocation.error, invocation.ended = await request.json(), True
        return JSONResponse({"status": "OK"}, 202)

    async def _failed(self, request: Request) -> Response:
        self.init_error = await request.json()
        return JSONResponse({"status": "OK"}, 202)


@contextmanager
def lambda_runtime() -> Iterator[LambdaRuntime]:
    runtime = LambdaRuntime()
    server: HttpServer
    with serve(runtime.app()) as server:
        runtime.address = server.url.removeprefix("http://")
        try:
            yield runtime
        finally:
            runtime.end()


def rest_api_event(method: str, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> dict[str, Any]:
    """What a Regional REST API sends: its proxy event, version 1.0."""
    given = {"Host": "api.example.com", "Content-Type": "application/json", "X-Forwarded-For": "192.0.2.1"} | headers
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": given,
        "multiValueHeaders": {name: [value] for name, value in given.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "resourcePath": "/{proxy+}",
            "httpMethod": method,
            "path": f"/v1{path}",
            "stage": "v1",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "resourceId": "xyz",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": json.dumps(body) if body is not None else None,
        "isBase64Encoded": False,
    }
