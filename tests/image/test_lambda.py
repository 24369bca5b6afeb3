"""The image as Lambda runs it: the adapter beside the service, events from a stand-in for the Runtime API."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.image.conftest import Backends
from tests.image.container import Image
from tests.image.environment import environment
from tests.lambda_runtime import rest_api_event

QUESTION = "How does the Analytical Engine weave patterns?"


def test_a_question_through_a_rest_api_is_answered(image: Image, backends: Backends, tmp_path: Path) -> None:
    with environment(image, tmp_path / "sandbox", backends.settings) as runtime:
        assert runtime.registered == ["lambda-adapter"]
        done = runtime.invoke(rest_api_event("POST", "/rag", {"query": QUESTION})).wait()
        said, body = done.streamed
        assert (said["statusCode"], done.headers["lambda-runtime-function-response-mode"]) == (200, "streaming")
        assert json.loads(body)["answer"] == "The engine weaves patterns [1]."
        refused, problem = runtime.invoke(rest_api_event("POST", "/rag", {"query": ""})).wait().streamed
        assert refused["statusCode"] == 422
        assert json.loads(problem)["title"] == "Invalid request"


def test_a_stream_arrives_piece_by_piece(image: Image, backends: Backends, tmp_path: Path) -> None:
    backends.model.pace_s = 0.7
    with environment(image, tmp_path / "sandbox", backends.settings) as runtime:
        done = runtime.invoke(rest_api_event("POST", "/rag", {"query": QUESTION, "stream": True})).wait()
    said, body = done.streamed
    assert said["headers"]["content-type"].startswith("text/event-stream")
    assert body.count(b"event: token") >= 3
    assert body.rstrip().rpartition(b"event: ")[2].startswith(b"done")
    tokens = [at for at, piece in done.pieces if b"event: token" in piece]
    assert len(tokens) >= 3, "each in a piece of its own"
    assert tokens[-1] - tokens[0] > backends.model.pace_s, "as they are made, not in the end"


def test_nothing_is_invoked_before_the_service_is_ready(image: Image, backends: Backends, tmp_path: Path) -> None:
    """The adapter asks for work once /readyz says 200: the first caller does not pay for the models."""
    with environment(image, tmp_path / "sandbox", backends.settings) as runtime:
        began = time.monotonic()
        said, _ = runtime.invoke(rest_api_event("GET", "/readyz")).wait().streamed
        assert said["statusCode"] == 200
        assert runtime.ready_at is not None
        assert runtime.ready_at < began


@pytest.mark.parametrize("path", ["/metrics", "/snapstart/after"])
def test_what_is_not_served_is_not_found(path: str, image: Image, backends: Backends, tmp_path: Path) -> None:
    with environment(image, tmp_path / "sandbox", backends.settings) as runtime:
        assert runtime.invoke(rest_api_event("POST", path)).wait().streamed[0]["statusCode"] in {404, 405}
