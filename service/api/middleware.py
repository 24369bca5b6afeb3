"""Per request, as plain ASGI: an id, what telemetry wants to know, and a place among those in flight."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from service.api.errors import failed, refuse
from service.errors import Overloaded
from service.telemetry.exchange import UNMATCHED, Exchange

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from service.api.state import State
    from service.resilience import Admission
    from service.telemetry import Telemetry

_READ = frozenset({b"x-request-id", b"traceparent", b"tracestate"})
BODY_S = 5.0  # for a few KiB; a slower client would hold a place without an end
CLOSE = {"Connection": "close"}  # the rest of the body is not read
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContext:
    """Takes the caller's X-Request-Id where it is harmless, else makes one; answers with it.

    Telemetry hears of the route's template and never of the raw path, since labels must stay few. What another
    middleware refuses has met no route yet: there the path itself is taken, if it is one of `paths`.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry, paths: frozenset[str]) -> None:
        self._app = app
        self._telemetry = telemetry
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _READ}
        given = headers.get("x-request-id", "")
        request_id = given if _ACCEPTED_ID.fullmatch(given) else uuid.uuid4().hex
        exchange = Exchange(request_id, scope["method"])
        scope["exchange"] = exchange

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                if _draining(scope):  # who kept the connection is told before it is closed
                    message["headers"].append((b"connection", b"close"))
                exchange.status = message["status"]
            await send(message)

        token = self._telemetry.begin(exchange, scope["path"], headers)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as exc:
            if exchange.status:  # the response has begun: that it breaks off says that it is not whole
                exchange.error = exc
                raise
            # Here and not in Starlette's handler, after which the server logs the same error once more.
            await failed(scope, exc)(scope, receive, send_with_id)
        except BaseException as exc:
            exchange.error = exc
            raise
        finally:
            exchange.route = self._route(scope)
            self._telemetry.end(exchange, token)

    def _route(self, scope: Scope) -> str:
        path = scope["path"]
        return str(getattr(scope.get("route"), "path", path if path in self._paths else UNMATCHED))


def _draining(scope: Scope) -> bool:
    state: State | None = scope["app"].state.service
    return state is not None and not state.ready


class Bounded:
    """Refuses what is beyond the places before its body is read; `paths` are those that need one."""

    def __init__(self, app: ASGIApp, admission: Admission, paths: frozenset[str]) -> None:
        self._app = app
        self._admission = admission
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        try:
            self._admission.take()
        except Overloaded as exc:
            refusal = refuse(scope, exc)
            if self._admission.few_files:  # those that the refused would keep open are needed for others
                refusal.headers["Connection"] = "close"
            await refusal(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._admission.give_back()


class JsonBody:
    """Refuses a body that is not JSON by its media type, one that is too long, declared or arrived, or too slow.

    Starlette's own limiter answers in plain text; what this raises becomes problem+json in the error handlers.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        received, whole = 0, False
        due = asyncio.get_running_loop().time() + BODY_S

        async def guarded() -> Message:
            nonlocal received, whole
            if whole:  # what comes now is the client's leaving
                return await receive()
            if declared.isdigit() and int(declared) > self._max_bytes:
                raise self._too_large()
            try:
                async with asyncio.timeout_at(due):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body took over {BODY_S:g} s", headers=CLOSE) from None
            whole = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._too_large()
            if received and media_type != b"application/json":
                said = media_type.decode("latin-1")
                raise HTTPException(415, f"Content-Type is {said or 'not given'}; send application/json")
            return message

        await self._app(scope, guarded, send)

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the body is over {self._max_bytes} bytes", headers=CLOSE)
