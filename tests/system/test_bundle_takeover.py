"""A running edge takes over new bundles, and back, while it answers: no request fails."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import httpx

from service import bundle, bundle_home
from service.jobs import ingest
from tests.real_processes import free_port, running, wait_until

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "# Supervisor\nSupervisor keeps a number of processes running on UNIX hosts, edition {edition}."
TAKEOVERS = 4
WITHIN_S = 60.0


def build(documents: Path, home: Path, edition: int) -> str:
    documents.mkdir(exist_ok=True)
    (documents / "supervisor.md").write_text(TEXT.format(edition=edition))
    ingest.ingest(documents, home, "flat", min_recall=0.9, threads=1)
    return bundle.resolve(home).name


def served(metrics: str) -> str:
    lines = [line for line in httpx.get(metrics).text.splitlines() if line.startswith("bundle_info{")]
    return lines[0].partition('id="')[2].partition('"')[0]


def test_no_request_fails_while_bundles_take_over(tmp_path: Path) -> None:
    documents, home = tmp_path / "documents", tmp_path / "home"
    first = build(documents, home, 0)
    port, metrics_port = free_port(), free_port()
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RAG_PORT": str(port),
        "RAG_METRICS_PORT": str(metrics_port),
        "RAG_SERVED_BY": "edge",
        "RAG_VECTOR_STORE": "faiss",
        "RAG_BUNDLE_DIR": str(home),
        "RAG_BUNDLE_CHECK_S": "0.1",
    }
    metrics = f"http://127.0.0.1:{metrics_port}/metrics"
    over = threading.Event()
    statuses: Counter[int] = Counter()
    editions: set[str] = set()

    def ask() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN_S) as client:
            while not over.is_set():
                answer = client.post("/search", json={"query": "What keeps processes running?"})
                statuses[answer.status_code] += 1
                editions.update(hit["text"].rpartition(" ")[2] for hit in answer.json().get("results", []))

    def ready() -> bool:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=WITHIN_S).is_success

    with running([sys.executable, "-m", "service"], port, ready=ready, env=env):
        wait_until(lambda: served(metrics) == first, within_s=WITHIN_S, what="the first bundle")
        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        try:
            for edition in range(1, TAKEOVERS + 1):
                name = build(documents, home, edition)
                wait_until(lambda name=name: served(metrics) == name, within_s=WITHIN_S, what=name)  # type: ignore[misc]
            before = bundle_home.back(home)
            wait_until(lambda: served(metrics) == before.name, within_s=WITHIN_S, what="the one before")
        finally:
            over.set()
            for asker in askers:
                asker.join()
    assert set(statuses) == {200}, statuses
    assert statuses[200] > TAKEOVERS
    assert f"{TAKEOVERS}." in editions
