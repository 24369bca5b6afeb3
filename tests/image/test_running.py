"""The image as an orchestrator runs it: as user 10001, with a read-only root and no capability."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.image.conftest import RERANKER, Backends
from tests.image.container import Container, Image, started
from tests.real_processes import free_port, wait_until

START_S = 120
QUESTION = "How does the Analytical Engine weave patterns?"
# In the container: every module that a question loads comes from bytecode.
UNCOMPILED = """
import sys, runpy
import service.app, service.__main__, service.adapters.onnx_minilm, service.adapters.cross_encoder
import service.adapters.qdrant, service.adapters.openai_models, service.adapters.sagemaker, service.adapters.mongo
import service.adapters.redis_cache, service.adapters.secrets_manager, onnxruntime, tokenizers
import os
print([m.__name__ for m in sys.modules.values() if (c := getattr(m, "__cached__", None)) and not os.path.exists(c)])
"""


@contextmanager
def serving(image: Image, folder: Path, settings: dict[str, object]) -> Iterator[tuple[Container, httpx.Client]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        started(image, folder, settings | {"RAG_PORT": port}) as container,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):

        def ready() -> bool:
            assert container.process.poll() is None, (folder / "log").read_text()
            try:
                return client.get("/readyz").is_success
            except httpx.TransportError:
                return False

        wait_until(ready, within_s=START_S, what="the service in its container")
        yield container, client


def test_it_answers_from_a_read_only_root(image: Image, backends: Backends, tmp_path: Path) -> None:
    with serving(image, tmp_path / "container", backends.settings) as (container, client):
        assert client.get("/livez").status_code == 200
        answer = client.post("/rag", json={"query": QUESTION})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["answer"] == "The engine weaves patterns [1]."
        assert {source["collection"] for source in body["sources"]} <= {"posts", "articles", "repos"}
        assert body["degraded"] == []
        assert body["timings"]["reranking_ms"] > 0
        health = container.execute(image.config["Healthcheck"]["Test"][1:])
        assert health.returncode == 0, health.stderr
        inside = container.execute(["sh", "-c", "id -u; touch /app/x /opt/x /etc/x; touch /tmp/x && ls -A /tmp"])
        assert inside.stdout.split() == ["10001", "x"]  # nothing else was written there
        assert inside.stderr.count("Read-only file system") == 3
        assert container.stop() == 0
    said = [json.loads(line) for line in (tmp_path / "container/log").read_text().splitlines()]
    assert said, "logs are JSON, a line each"


def test_an_answer_in_flight_outlives_sigterm(image: Image, backends: Backends, tmp_path: Path) -> None:
    backends.model.pace_s = 1.0
    with serving(image, tmp_path / "container", backends.settings) as (container, client), ThreadPoolExecutor() as pool:
        answer = pool.submit(client.post, "/rag", json={"query": QUESTION})
        wait_until(lambda: backends.model.open_streams == 1, within_s=60, what="it is being generated")
        code = container.stop()
        assert answer.result().json()["answer"] == "The engine weaves patterns [1]."
        assert code == 0


def test_every_module_comes_from_bytecode(image: Image, tmp_path: Path) -> None:
    with started(image, tmp_path / "container", {}, ["python", "-c", UNCOMPILED]) as container:
        assert container.process.wait(120) == 0
    assert (tmp_path / "container/log").read_text().strip() == "[]"


@pytest.mark.parametrize("job", ["ingest", "export_bundle", "api_key"])
def test_jobs_start_in_it(job: str, image: Image, tmp_path: Path) -> None:
    with started(image, tmp_path / "container", {}, ["python", "-m", f"service.jobs.{job}", "--help"]) as container:
        assert container.process.wait(120) == 0
    assert "usage:" in (tmp_path / "container/log").read_text()


def test_a_bundle_can_be_built_in_it(image: Image, tmp_path: Path) -> None:
    """Splitter, embedder and FAISS: what jobs need beside what answers."""
    script = (
        "mkdir /tmp/docs && printf '# Loom\\nThe engine weaves patterns as the loom weaves flowers.' > /tmp/docs/a.md"
        " && python -m service.jobs.ingest /tmp/docs --out /tmp/bundle"
        " && python -m service.jobs.verify_bundle /tmp/bundle"
    )
    with started(image, tmp_path / "container", {}, ["sh", "-c", script]) as container:
        assert container.process.wait(120) == 0, (tmp_path / "container/log").read_text()


def test_a_reranker_that_was_not_baked_is_refused_in_one_line(image: Image, backends: Backends, tmp_path: Path) -> None:
    wrong = backends.settings | {"RAG_RERANKER_MODEL": "acme/another"}
    with started(image, tmp_path / "container", wrong) as container:
        assert container.process.wait(120) == 78
    said = (tmp_path / "container/log").read_text()
    assert said.count("\n") == 1, said
    assert "/opt/models/reranker/acme/another/model.onnx does not exist" in said
    assert RERANKER not in said
