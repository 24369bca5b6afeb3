"""The stack `local` on the real engine with the real service; only its documents are few.

One `up` is shared; the tests of this file run in their order, and the last one takes the stack down.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from infra.edge.waiting import until
from tests.local_engine import ROOT, Engine, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
DOCUMENTS = {
    "supervision.md": "# Supervision\n\nA supervisor keeps two programs up: the llama.cpp server and the service.\n",
    "weather.md": "# Weather\n\nIt often rains in Bergen, the wettest of the larger towns of Norway.\n",
}

pytestmark = pytest.mark.pulumi


def git_status() -> str:
    git = shutil.which("git")
    assert git
    return subprocess.run([git, "status", "--short"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    home = tmp_path_factory.mktemp("state")
    (home / "documents").mkdir()
    for name, text in DOCUMENTS.items():
        (home / "documents" / name).write_text(text)
    (home / "project").mkdir()
    (home / "project" / "Pulumi.yaml").write_text("name: rag-platform\nruntime: python\n")
    engine = Engine(f"test-{os.getpid()}", home, free_ports())
    engine.configure()
    engine.run("stack", "init", engine.name, folder=home / "project")
    yield engine
    engine.on_stack("destroy", "--yes", "--skip-preview", check=False)


@pytest.fixture(scope="module")
def up(engine: Engine) -> Engine:
    engine.on_stack("up", "--yes")
    return engine


def test_a_taken_port_is_one_line_before_anything_is_built(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", engine.ports[0])):
        said = engine.on_stack("up", "--yes", "--skip-preview", check=False)
    assert f"port {engine.ports[0]} (hybrid.edge.port) is taken by pid {os.getpid()}" in said
    assert "Traceback" not in said


def test_an_unknown_key_is_one_line(engine: Engine) -> None:
    engine.configure(prot=1)
    try:
        said = engine.on_stack("preview", check=False)
    finally:
        engine.configure()
    assert "hybrid.edge.prot" in said
    assert "Traceback" not in said


def test_a_missing_model_is_one_line_and_leaves_nothing_running(engine: Engine) -> None:
    engine.configure(model="/nowhere/model.gguf")
    try:
        said = engine.on_stack("up", "--yes", "--skip-preview", check=False)
    finally:
        engine.configure()
    _, _, diagnostics = said.partition("Diagnostics:")
    (line,) = [line.strip() for line in diagnostics.splitlines() if "llama did not start" in line]
    assert line.startswith("error: llama did not start: ")
    assert "/nowhere/model.gguf" in line
    assert "hybrid.edge.model" in line
    assert "Traceback" not in said
    assert not (engine.folder / "run").exists()


def test_it_answers_from_its_documents(up: Engine) -> None:
    assert httpx.get(f"{up.url}/readyz", trust_env=False).status_code == 200
    found = httpx.post(f"{up.url}/search", json={"query": "Where does it rain?"}, trust_env=False, timeout=30).json()
    assert found["results"][0]["title"] == "Weather"


def test_the_outputs_are_the_delivery(up: Engine) -> None:
    done = up.run("stack", "output", "--json", "--stack", up.name)
    outputs = json.loads(done.stdout)
    assert outputs["url"] == up.url
    assert outputs["topology"] == "hybrid"
    assert outputs["jobs"]["source"] == str(up.home / "documents")


def test_a_smoke_test_asks_about_its_own_documents(up: Engine) -> None:
    done = subprocess.run(
        [str(Path(sys.prefix, "bin", "opsctl")), "smoke-test", "--stack", up.name, "--output", "json"],
        cwd=ROOT,
        env=up.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    titles = {hit["title"] for check in json.loads(done.stdout)["checks"] for hit in check["evidence"].get("hits", ())}
    assert titles == {"Supervision", "Weather"}


def test_a_second_up_has_nothing_to_do(up: Engine) -> None:
    up.on_stack("preview", "--expect-no-changes")


def test_a_refresh_finds_everything_as_it_was_left(up: Engine) -> None:
    up.on_stack("refresh", "--yes", "--skip-preview", "--expect-no-changes")


@pytest.mark.parametrize("name", ["llama", "service"])
def test_a_killed_program_comes_back(up: Engine, name: str) -> None:
    before = up.pids()[name]
    os.kill(before, signal.SIGKILL)
    assert until(lambda: up.pids()[name] not in {0, before}, 20)
    assert until(lambda: answers(up), 60)


def answers(engine: Engine) -> bool:
    try:
        return httpx.get(f"{engine.url}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_an_up_repairs_a_dead_supervisor(up: Engine) -> None:
    psutil.Process(int((up.folder / "run" / "supervisord.pid").read_text())).kill()
    said = up.on_stack("preview")
    assert "supervisord is not running" in said
    up.on_stack("up", "--yes", "--skip-preview")
    assert answers(up)


def test_changed_documents_make_a_new_bundle_and_restart_the_service_alone(up: Engine) -> None:
    before = up.pids()
    (up.home / "documents" / "trains.md").write_text("# Trains\n\nThe night train to Bergen leaves Oslo at 23:25.\n")
    up.on_stack("up", "--yes", "--skip-preview")
    after = up.pids()
    assert after["llama"] == before["llama"]
    assert after["service"] != before["service"]
    assert len([*up.folder.glob("bundle-*")]) == 1


def test_a_corrupt_bundle_is_built_again(up: Engine) -> None:
    (index,) = up.folder.rglob("index.faiss")
    index.write_bytes(index.read_bytes()[:-1])
    assert "is corrupt" in up.on_stack("preview")
    up.on_stack("up", "--yes", "--skip-preview")
    up.on_stack("preview", "--expect-no-changes")


def test_down_leaves_no_process_port_or_file_and_the_tree_as_it_was(up: Engine) -> None:
    status = git_status()
    running = [psutil.Process(pid) for pid in up.pids().values()]

    up.on_stack("destroy", "--yes", "--skip-preview")
    up.run("stack", "rm", up.name, "--yes", "--preserve-config")

    assert not [process for process in running if process.is_running()]
    for port in up.ports:
        socket.create_server(("127.0.0.1", port)).close()
    assert not up.folder.exists()
    assert not (ROOT / f"Pulumi.{up.name}.yaml").exists()
    assert git_status() == status
