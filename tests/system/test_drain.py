"""SIGTERM: not ready at once, nothing is cut, kept connections are told, and the end is clean."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.jobs import ingest
from tests.real_processes import Running, serve, service, wait_until
from tests.scripted_openai import ScriptedOpenAI

PATIENCE_S = 60.0
QUESTION = "How does the Analytical Engine weave patterns?"


@pytest.fixture(scope="module")
def home(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bundle")
    ingest.ingest(corpus, home, "flat", min_recall=0.9, threads=1)
    return home


@pytest.fixture
def slow_model(home: Path) -> Iterator[tuple[Running, ScriptedOpenAI]]:
    """A service whose answers take four seconds."""
    api = ScriptedOpenAI(pace_s=1.0)
    with serve(api.app()) as server:
        settings = {
            "RAG_VECTOR_STORE": "faiss",
            "RAG_BUNDLE_DIR": home,
            "RAG_GENERATOR": "openai",
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": f"{server.url}/v1",
        }
        with service(settings) as running:
            yield running, api


def connected(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S)


def test_answers_and_streams_in_flight_end_whole_and_the_process_with_0(
    slow_model: tuple[Running, ScriptedOpenAI],
) -> None:
    running, api = slow_model
    body = {"query": QUESTION}
    with connected(running.url) as kept, connected(running.url) as asking, connected(running.url) as streaming:
        assert kept.get("/readyz").status_code == 200
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(asking.post, "/rag", json=body)
            stream = pool.submit(streaming.post, "/rag", json=body | {"stream": True})
            wait_until(lambda: api.open_streams == 2, within_s=PATIENCE_S, what="both are being generated")
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)  # the signal's handler runs between two events of the loop
            ready = kept.get("/readyz")
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{running.url}/livez", trust_env=False)
            assert answer.result().json()["answer"] == "The engine weaves patterns [1]."
            assert stream.result().text.rstrip().splitlines()[-2] == "event: done"
    assert (ready.status_code, ready.headers["connection"]) == (503, "close")
    assert answer.result().status_code == stream.result().status_code == 200
    assert running.process.wait(PATIENCE_S) == 0


def test_a_question_on_a_kept_connection_is_still_answered(slow_model: tuple[Running, ScriptedOpenAI]) -> None:
    running, _ = slow_model
    with connected(running.url) as kept:
        assert kept.get("/readyz").status_code == 200
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        late = kept.post("/rag", json={"query": QUESTION})
    assert (late.status_code, late.headers["connection"]) == (200, "close")
    assert running.process.wait(PATIENCE_S) == 0


def test_an_idle_connection_keeps_no_process_alive(slow_model: tuple[Running, ScriptedOpenAI]) -> None:
    running, _ = slow_model
    with connected(running.url) as kept:
        assert kept.get("/livez").status_code == 200
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
