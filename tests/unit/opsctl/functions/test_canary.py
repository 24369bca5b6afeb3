"""The canary asks like a smoke test, and turns what it sees into two numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from opsctl.functions.canary import handler as made
from tests.real_processes import Door, HttpServer, free_port


@pytest.fixture
def service(door: Door) -> Iterator[HttpServer]:
    async def ready(_: Request) -> Response:
        return JSONResponse({"release": "r1"})

    async def ask(request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer planted":
            return PlainTextResponse("who are you", 401)
        return JSONResponse({"results": []})

    routes = [
        Route("/livez", lambda _: PlainTextResponse("ok")),
        Route("/readyz", ready),
        Route("/search", ask, methods=["POST"]),
    ]
    with door.opened(Starlette(routes=routes)) as server:
        yield server


def run(
    url: str, checks: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, object], dict[str, object]]:
    settings = {"RAG_URL": url, "RAG_NAMESPACE": "rag-platform/s", "RAG_CHECKS": checks, "AWS_REGION": "eu-north-1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(made, "_key", lambda _: "planted")
    said = made.handler({}, None)
    text = capsys.readouterr().out
    assert "planted" not in text
    return said, json.loads(text)


def test_a_service_that_answers_is_available(
    service: HttpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said, line = run(service.url, "livez,readyz", monkeypatch, capsys)
    assert said == {"available": True, "failed": None}
    assert line["available"] == 1
    assert isinstance(line["canary_latency_ms"], float)


def test_a_check_that_does_not_hold_is_a_measurement_and_no_failure_of_the_function(
    service: HttpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said, line = run(service.url, "livez,readyz,search,rag", monkeypatch, capsys)
    assert line["available"] == 0
    assert str(said["failed"]).startswith("search: 'What is it")


def test_a_service_that_nobody_reaches_is_not_available(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, line = run(f"http://127.0.0.1:{free_port()}", "livez", monkeypatch, capsys)
    assert line["available"] == 0
    assert "nothing can be reached" in str(line["failed"])
