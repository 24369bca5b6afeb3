"""Every error leaves as RFC 9457 problem+json: one line, the status that fits, no trace, no secret, no input echoed."""

from __future__ import annotations

import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from service.api.schemas import OpenAIError, OpenAIErrorBody, Problem
from service.errors import BadRequest, RagError, StageUnavailable, Unauthenticated
from service.resilience.descriptors import foreseen
from service.telemetry import Exchange

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
REFUSED = (401, 408, 413, 415, 422, 429, 503)  # what a request with a body may be refused with
FIRST_SERVER_STATUS = 500
UNREADABLE = 400
WORTH_SKIPPING_BYTES = 64 * 1024  # an unread body up to this is cheaper to skip than a new connection
CHALLENGE = 'Bearer realm="rag-platform"'
_STATUS_TITLES = {
    404: "Not found",
    405: "Method not allowed",
    408: "Request body too slow",
    413: "Request body too large",
    415: "Unsupported media type",
}


def problem(exc: RagError, request_id: str) -> Problem:
    """The problem document of an error of the service's family."""
    return Problem(
        type=f"urn:rag-platform:{type(exc).__name__}",
        title=exc.title,
        status=exc.status,
        detail=exc.detail,
        request_id=request_id,
        stage=exc.stage if isinstance(exc, StageUnavailable) else None,
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's responses of these statuses: problem documents, all of them."""
    return {status: {"model": Problem, "content": {MEDIA_TYPE: {}}} for status in statuses}


def respond(body: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """A response of the right media type."""
    return JSONResponse(
        body.model_dump(by_alias=True, exclude_none=True), body.status, headers=headers, media_type=MEDIA_TYPE
    )


def retry_after(exc: RagError) -> dict[str, str]:
    """Whole seconds, rounded up, as the header wants them."""
    return {} if exc.retry_after_s is None else {"Retry-After": str(math.ceil(exc.retry_after_s))}


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(RagError, _rag_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)


def request_id(request: Request) -> str:
    """The id that the request's middleware gave."""
    return exchange(request).request_id


def exchange(request: Request) -> Exchange:
    """What the request's middleware keeps of it."""
    kept: Exchange = request.scope["exchange"]
    return kept


def openai_error(exc: RagError) -> OpenAIErrorBody:
    """OpenAI's shape of an error of the service's family."""
    kind = "invalid_request_error" if exc.status < FIRST_SERVER_STATUS else "server_error"
    return OpenAIErrorBody(error=OpenAIError(message=exc.detail, type=kind, code=type(exc).__name__))


def _answer(request: Request, body: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """On /v1 the problem carries OpenAI's `error` object as an extension member."""
    if request.url.path.startswith("/v1/"):
        kind = "invalid_request_error" if body.status < FIRST_SERVER_STATUS else "server_error"
        body.error = OpenAIError(message=body.detail, type=kind, code=body.type.rpartition(":")[2])
    return respond(body, headers)


def refuse(scope: Scope, exc: RagError) -> JSONResponse:
    """The same answer from a middleware, whose exceptions no handler sees, before the body is read."""
    request = Request(scope)
    response = _told(request, exc)
    declared = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not declared.isdigit() or int(declared) > WORTH_SKIPPING_BYTES:
        response.headers["Connection"] = "close"
    return response


async def _rag_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RagError)  # noqa: S101 - registered for this class
    return _told(request, exc)


def _told(request: Request, exc: RagError) -> JSONResponse:
    exchange(request).error = exc
    return _answer(request, problem(exc, request_id(request)), retry_after(exc) | _challenge(exc))


def _challenge(exc: RagError) -> dict[str, str]:
    """RFC 6750: an error code only where a credential came with the request."""
    if not isinstance(exc, Unauthenticated):
        return {}
    return {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"' if exc.presented else CHALLENGE}


async def _invalid(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101
    reasons = []
    for error in exc.errors():
        if error["type"] == "json_invalid":
            reasons.append(f"body: is no JSON: {error['ctx']['error']}")
            continue
        field = [str(part) for part in error["loc"] if part != "body"]
        reasons.append(f"{'.'.join(field) or 'body'}: {error['msg']}")
    return await _rag_error(request, BadRequest("; ".join(reasons)))


async def _http_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101
    if exc.status_code == UNREADABLE:  # FastAPI's word for bytes that are no text, numbers too long, nesting too deep
        return await _rag_error(request, BadRequest("body: is not JSON that can be read"))
    body = Problem(
        type="about:blank",
        title=_STATUS_TITLES.get(exc.status_code, "Request failed"),
        status=exc.status_code,
        detail=str(exc.detail),
        request_id=request_id(request),
    )
    return _answer(request, body, dict(exc.headers or {}))


def explained(exc: Exception, seen: Exchange) -> RagError:
    """What to tell of an error; where nobody foresaw it, it is logged and its caller learns the request id alone."""
    error = exc if isinstance(exc, RagError) else foreseen(exc)
    seen.error = error or exc
    if error is not None:
        return error
    log.error("unexpected error in request %s", seen.request_id, exc_info=exc)
    return RagError("the service's log has the cause under this request id")


def failed(scope: Scope, exc: Exception) -> JSONResponse:
    """The answer to a request that ended in an error for which there is no handler."""
    request = Request(scope)
    error = explained(exc, exchange(request))
    return _answer(request, problem(error, request_id(request)), retry_after(error))
