"""`opsctl edge` against a running edge: what it says, back to the bundle before, and what it can't reach."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from opsctl import cli, stack
from service import bundle
from tests.real_processes import free_port, running
from tests.system.test_bundle_takeover import build, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EDGE = "pulumi-python:dynamic/edge:EdgeService"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Path, str]]:
    """A resource of the engine's state, the bundle home, and the address of the metrics of what it describes."""
    folder = tmp_path_factory.mktemp("edge")
    home = folder / "home"
    for edition in range(2):
        build(folder / "documents", home, edition)
    port, metrics = free_port(), free_port()
    told = {
        "RAG_PORT": str(port),
        "RAG_METRICS_PORT": str(metrics),
        "RAG_SERVED_BY": "edge",
        "RAG_VECTOR_STORE": "faiss",
        "RAG_BUNDLE_DIR": str(home),
        "RAG_BUNDLE_CHECK_S": "0.1",
    }
    state = {
        "type": EDGE,
        "outputs": {
            "programs": [{"name": "service", "args": ["-m", "service"], "environment": told}],
            "listen": [
                {"key": "hybrid.edge.port", "host": "127.0.0.1", "port": port},
                {"key": "hybrid.edge.metricsPort", "host": "127.0.0.1", "port": metrics},
            ],
        },
    }

    def ready() -> bool:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=60).is_success

    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **told}
    with running([sys.executable, "-m", "service"], port, ready=ready, env=env):
        yield state, home, f"http://127.0.0.1:{metrics}/metrics"


@pytest.fixture
def state(edge: tuple[dict[str, Any], Path, str], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    resources = [edge[0]]
    monkeypatch.setattr(stack, "read_resources", lambda *_: resources)
    return resources


def test_status_says_what_serves_and_what_is_kept(
    state: list[dict[str, Any]], edge: tuple[dict[str, Any], Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["edge", "status", "--stack", "local", "--output", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["edges"]
    assert found["ok"], found
    assert found["serving"]["id"] == bundle.resolve(edge[1]).name
    assert (found["serving"]["index"], found["serving"]["chunks"]) == ("flat", 1)
    assert len(found["bundles"]) == 2
    assert (found["online"], found["sync"], found["release"]) == (None, None, "dev")
    assert cli.main(["edge", "status", "--stack", "local"]) == 0
    assert "recall@10 1.0000" in capsys.readouterr().out


def test_back_is_the_bundle_before_and_no_further(
    state: list[dict[str, Any]], edge: tuple[dict[str, Any], Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, home, metrics = edge
    newest = bundle.resolve(home).name
    assert cli.main(["edge", "rollback", "--stack", "local", "--output", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["edges"]
    assert found["serving"]["id"] == served(metrics) == bundle.resolve(home).name < newest
    assert cli.main(["edge", "rollback", "--stack", "local"]) == 1
    assert "no bundle before" in capsys.readouterr().err
    assert served(metrics) == bundle.resolve(home).name


def test_an_edge_without_a_bucket_is_told_how_to_get_one(
    state: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["edge", "update", "--stack", "local"]) == 2
    assert "edge local has no bucket to look at; set aws:region" in capsys.readouterr().err


def test_an_edge_that_does_not_answer_is_a_problem_and_a_host_that_is_not_there_a_usage_error(
    state: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    silent = json.loads(json.dumps(state[0]))
    silent["outputs"]["listen"][0]["port"] = free_port()
    state[0] = silent
    assert cli.main(["edge", "status", "--stack", "local"]) == 1
    said = capsys.readouterr()
    assert "it does not answer (ConnectError)" in said.out
    assert "edge local: not as it should be" in said.err
    assert cli.main(["edge", "status", "--stack", "local", "--host", "ssh://nobody"]) == 2
    assert "no edge 'ssh://nobody'; name one of local" in capsys.readouterr().err
    state.clear()
    assert cli.main(["edge", "status", "--stack", "local"]) == 2
    assert "the stack has no edge" in capsys.readouterr().err
