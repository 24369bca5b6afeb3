"""The service as a process: what it says when it can't start, what it serves when it can."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service import bundle
from service.adapters import packaged
from service.jobs import ingest

EX_CONFIG = 78


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    documents = tmp_path_factory.mktemp("documents")
    (documents / "supervisor.md").write_text(
        "# Supervisor\nSupervisor keeps a number of processes running on UNIX hosts."
    )
    (documents / "faiss.md").write_text("# Faiss\nFaiss searches dense vectors by their similarity, in memory.")
    home = tmp_path_factory.mktemp("bundle")
    ingest.ingest(documents, home, "sq8", min_recall=0.9, threads=1)
    return home


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def environment(home: Path, **changes: str) -> dict[str, str]:
    wanted = {
        "RAG_PORT": str(free_port()),
        "RAG_METRICS_PORT": str(free_port()),
        "RAG_VECTOR_STORE": "faiss",
        "RAG_BUNDLE_DIR": str(home),
        "RAG_SERVED_BY": "edge",
    }
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]} | wanted | changes


def refused(env: dict[str, str]) -> str:
    """The one line on stderr of a service that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "service"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == EX_CONFIG, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def copy(home: Path, target: Path) -> Path:
    source = bundle.resolve(home)
    target.mkdir()
    for name in (bundle.INDEX, bundle.CHUNKS, bundle.MANIFEST):
        (target / name).write_bytes((source / name).read_bytes())
    return target


def test_a_missing_bundle_names_the_command_that_builds_one(tmp_path: Path) -> None:
    assert "build one: python -m service.jobs.ingest" in refused(environment(tmp_path / "absent"))


def test_a_missing_embedding_model_is_refused_by_its_setting(home: Path) -> None:
    line = refused(environment(home, RAG_EMBEDDING_MODEL_PATH="/nowhere/model.onnx"))
    assert "RAG_EMBEDDING_MODEL_PATH: /nowhere/model.onnx does not exist" in line


def test_a_model_that_is_not_one_is_refused_in_one_line(home: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    assert "can't be loaded" in refused(environment(home, RAG_EMBEDDING_MODEL_PATH=str(tmp_path / "model.onnx")))


@pytest.mark.parametrize("name", ["RAG_PORT", "RAG_METRICS_PORT"])
def test_a_taken_port_is_refused_by_its_setting(home: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"{name}: 127.0.0.1:{port}: Address already in use" in refused(environment(home, **{name: str(port)}))


def test_a_wrong_setting_is_refused_by_its_name(home: Path) -> None:
    assert "RAG_TOP_K" in refused(environment(home, RAG_TOP_K="many"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model", "/nowhere/model.gguf"], "no model '/nowhere/model.gguf': give a path to a GGUF file, a hub id"),
        (["--model", __file__], "is not a GGUF file"),
    ],
)
def test_a_missing_language_model_is_refused_in_one_line(arguments: list[str], reason: str) -> None:
    command = [sys.executable, "-m", "service.adapters.llamacpp_server", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (EX_CONFIG, 1)
    assert reason in done.stderr


def test_an_address_that_is_not_this_machines_is_not_called_a_taken_port(home: Path) -> None:
    assert "RAG_HOST: 203.0.113.1:" in refused(environment(home, RAG_HOST="203.0.113.1", RAG_AUTH="none"))


def test_a_bundle_of_another_model_is_noticed_before_it_is_served(home: Path, tmp_path: Path) -> None:
    folder = copy(home, tmp_path / "bundle")
    verify = [sys.executable, "-m", "service.jobs.verify_bundle", str(folder)]
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
    manifest = (folder / bundle.MANIFEST).read_text()
    (folder / bundle.MANIFEST).write_text(manifest.replace(packaged.MINILM_ONNX_INT8.sha256, "0" * 64))
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "made by another embedding model" in done.stderr


def test_ingest_reports_its_progress_in_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.jsonl").write_text('{"text": "one passage of text", "collection": "notes"}\n')
    command = [sys.executable, "-m", "service.jobs.ingest", str(tmp_path / "docs"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "documents 1/1" in done.stderr
    assert "not searched unless retrieval.collections names them: notes" in done.stderr
    refused_recall = subprocess.run([*command, "--min-recall", "nan"], capture_output=True, text=True, check=False)
    assert (refused_recall.returncode, refused_recall.stderr.count("recall@10 is")) == (1, 1)


def test_an_ipv6_address_is_an_address(home: Path) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        line = refused(environment(home, RAG_HOST="::1", RAG_PORT=str(taken.getsockname()[1]), RAG_METRICS_PORT="0"))
    assert "Address already in use" in line


@pytest.fixture(scope="module")
def running(home: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    env = environment(home)
    process = subprocess.Popen([sys.executable, "-m", "service"], env=env, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{env['RAG_PORT']}"
    for _ in range(300):
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == httpx.codes.OK:
                break
        except httpx.TransportError:
            time.sleep(0.1)
    yield process, env
    process.kill()
    process.communicate()


def test_it_searches_real_documents_with_the_real_model(running: tuple[subprocess.Popen[str], dict[str, str]]) -> None:
    _, env = running
    query = {"query": "What keeps processes up on UNIX?", "topK": 1}
    response = httpx.post(f"http://127.0.0.1:{env['RAG_PORT']}/search", json=query, trust_env=False)
    (result,) = response.json()["results"]
    assert (result["title"], result["collection"]) == ("Supervisor", "articles")


def test_metrics_answer_on_their_own_port_under_the_guides_names(
    running: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    _, env = running
    httpx.post(f"http://127.0.0.1:{env['RAG_PORT']}/search", json={"query": "vectors"}, trust_env=False)
    text = httpx.get(f"http://127.0.0.1:{env['RAG_METRICS_PORT']}/metrics", trust_env=False).text
    for stage in ("self_query", "query_expansion", "retrieval", "reranking", "generation", "total"):
        assert f"# TYPE {stage}_latency_ms histogram" in text
    counted = [line for line in text.splitlines() if line.startswith("retrieval_latency_ms_count")]
    assert float(counted[0].split()[1]) >= 1
    assert 'requests_total{route="/search",served_by="edge",status="200"}' in text


def test_it_stays_within_350_mib_without_the_language_model(
    running: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    process, _ = running
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak_kib <= 350 * 1024


def test_sigterm_ends_it_without_a_word(running: tuple[subprocess.Popen[str], dict[str, str]]) -> None:
    process, _ = running
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert stderr == ""
    assert process.returncode == 0
