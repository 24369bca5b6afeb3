"""A proxy in front of the cloud: counts and names calls, refuses some, holds states, and kills a caller at its nth."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.real_processes import wait_until

DROPPED = {"content-length", "connection", "date", "server"}  # the proxy's own server writes these
MUTATING = ("Create", "Update", "Delete", "Put", "Register", "Deregister", "Add", "Remove", "Set")
S3 = {"PUT": "PutObject", "GET": "GetObject", "DELETE": "DeleteObject", "HEAD": "HeadObject"}


@dataclass
class Refusal:
    """An operation (`*` for every mutating one) is answered with an error so many times each.

    Attributes:
        about: only calls that name this.
        after: the call is done, and its answer is lost.
    """

    operation: str
    times: int
    code: str
    status: int
    message: str = "injected by a test"
    about: str = ""
    after: bool = False
    used: dict[str, int] = field(default_factory=dict)

    def hits(self, operation: str, said: str) -> bool:
        if operation != self.operation and not (self.operation == "*" and is_mutating(operation)):
            return False
        if self.about not in said:
            return False
        self.used[operation] = self.used.get(operation, 0) + 1
        return self.used[operation] <= self.times


def is_mutating(operation: str) -> bool:
    return operation.startswith(MUTATING)


@dataclass
class AwsProxy:
    """One ASGI app; `kill` is called after the `kill_after`th mutating call was done, before it is answered."""

    upstream: str
    calls: list[str] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    kill_after: int | None = None
    kill: Callable[[], None] = lambda: None
    http: httpx.AsyncClient = field(init=False)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def mutating(self) -> list[str]:
        """Mutating calls that reached the cloud or were refused in its place."""
        return [each for each in self.calls if is_mutating(each)]

    def about(self, name: str) -> list[str]:
        """Mutating calls that name an endpoint."""
        return [operation for operation, said in self.log if is_mutating(operation) and name in said]

    def wait_for(self, operation: str) -> None:
        wait_until(lambda: operation in self.calls, within_s=60, what=f"a call of {operation}")

    def forget(self) -> None:
        self.calls, self.log, self.refusals, self.held, self.kill_after = [], [], [], {}, None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = await _read(receive)
        headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
        operation = _operation(scope, dict(headers), body)
        said = scope["path"] + body.decode(errors="replace")
        with self.lock:
            self.calls.append(operation)
            self.log.append((operation, said))
            count = len(self.mutating) if is_mutating(operation) else 0
            refusal = next((each for each in self.refusals if each.hits(operation, said)), None)
        if refusal is not None and not refusal.after:
            await _answer(send, refusal.status, *_error(refusal, operation))
            return
        path = scope["raw_path"].decode() + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        done = await self.http.request(scope["method"], path, headers=headers, content=body)
        if refusal is not None:
            await _answer(send, refusal.status, *_error(refusal, operation))
            return
        if self.kill_after is not None and count == self.kill_after:
            self.kill()
            return
        content = self._held(operation, done.content)
        ours = DROPPED - {"content-length"} if scope["method"] == "HEAD" else DROPPED  # there it is the object's
        kept = [(name, value) for name, value in done.headers.items() if name not in ours]
        await _answer(send, done.status_code, kept, content)

    async def _live(self, receive: Any, send: Any) -> None:
        """Connections to the cloud are kept for as long as the server runs."""
        await receive()
        async with httpx.AsyncClient(base_url=self.upstream, trust_env=False, timeout=60) as self.http:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _held(self, operation: str, content: bytes) -> bytes:
        """What is described, with the state that a test holds it in."""
        if operation not in self.held:
            return content
        document = json.loads(content)
        field_name = "EndpointStatus" if operation == "DescribeEndpoint" else "InferenceComponentStatus"
        return json.dumps({**document, field_name: self.held[operation]}).encode()


def _operation(scope: Any, headers: dict[str, str], body: bytes) -> str:
    if target := headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    if "/operation/" in scope["path"]:
        return str(scope["path"].rpartition("/")[2])
    if body.startswith(b"Action="):
        return body.partition(b"&")[0].removeprefix(b"Action=").decode()
    if scope["path"].endswith("/invocations"):
        return "InvokeEndpoint"
    return S3.get(scope["method"], scope["method"])


def _error(refusal: Refusal, operation: str) -> tuple[list[tuple[str, str]], bytes]:
    if operation in S3.values():
        text = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
        return [("content-type", "application/xml")], text.encode()
    document = {"__type": refusal.code, "message": refusal.message, "Error": {"Code": refusal.code}}
    kind = "application/x-amz-json-1.1"
    return [("content-type", kind), ("x-amzn-errortype", refusal.code)], json.dumps(document).encode()


async def _read(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def _answer(send: Any, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": content})
