"""Every error leaves as RFC 9457 problem+json: one line, the status that fits, no trace, no secret, no input echoed."""

from __future__ import annotations

import logging
import math

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.api.schemas import Problem
from service.errors import RagError, StageUnavailable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_STATUS_TITLES = {
    404: "Not found",
    405: "Method not allowed",
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
    app.add_exception_handler(Exception, _unexpected)


def request_id(request: Request) -> str:
    """The id that the request's middleware gave."""
    return str(request.scope.get("request_id", ""))


async def _rag_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RagError)  # noqa: S101 - registered for this class
    return respond(problem(exc, request_id(request)), retry_after(exc))


async def _invalid(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101
    reasons = []
    for error in exc.errors():
        field = [str(part) for part in error["loc"] if part != "body" and error["type"] != "json_invalid"]
        where = ".".join(field) or "body"
        reasons.append(f"{where}: {error['msg']}")
    content_type = request.headers.get("content-type", "")
    if request.headers.get("content-length", "0") != "0" and not content_type.startswith("application/json"):
        body = Problem(
            type="urn:rag-platform:UnsupportedMedia",
            title="Unsupported media type",
            status=415,
            detail=f"Content-Type is {content_type or 'absent'!r}; send application/json",
            request_id=request_id(request),
        )
        return respond(body)
    body = Problem(
        type="urn:rag-platform:BadRequest",
        title="Invalid request",
        status=422,
        detail="; ".join(reasons),
        request_id=request_id(request),
    )
    return respond(body)


async def _http_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101
    body = Problem(
        type="about:blank",
        title=_STATUS_TITLES.get(exc.status_code, "Request failed"),
        status=exc.status_code,
        detail=str(exc.detail),
        request_id=request_id(request),
    )
    return respond(body, dict(exc.headers or {}))


async def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    log.error("unexpected error in request %s", request_id(request), exc_info=exc)
    body = Problem(
        type="about:blank",
        title="Internal error",
        status=500,
        detail="the service's log has the cause under this request id",
        request_id=request_id(request),
    )
    return respond(body)
