"""Resident memory of the service as a process: 100,000 passages, the embedder, no language model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from figures import Figure, Report, main, report
from processes import drive, environ, free_port, server
from synthetic import synthetic_bundle

if TYPE_CHECKING:
    import psutil

MIB = 2**20
GOAL_MIB = 350.0
CLIENTS = 32
REQUESTS = 320
QUESTIONS = [{"query": f"Which passage says what it is about, number {n}?"} for n in range(64)]
LONGEST = [
    {"query": (f"{n} " + "which passage says what it is about and in which words " * 80)[:4000]} for n in range(64)
]


def run() -> Report:
    with synthetic_bundle() as made:
        url = f"http://127.0.0.1:{free_port()}"
        settings = environ(
            RAG_PORT=url.rpartition(":")[2],
            RAG_METRICS_PORT="0",
            RAG_VECTOR_STORE="faiss",
            RAG_BUNDLE_DIR=str(made.home),
            RAG_SERVED_BY="edge",
            RAG_SEARCH_TIMEOUT_S="20",  # a busy machine must not turn a memory figure into a 503
        )
        with server([sys.executable, "-m", "service"], f"{url}/readyz", settings) as process:
            started = _rss_mib(process)
            drive(f"{url}/search", QUESTIONS, clients=CLIENTS, requests=REQUESTS)
            asked = _rss_mib(process)
            # The embedder's own time limit may refuse some; their batch is computed all the same.
            drive(f"{url}/search", LONGEST, clients=CLIENTS, requests=CLIENTS, accepted=(200, 503))
            longest = _rss_mib(process)
    figures = [
        Figure(f"RSS after {REQUESTS} searches, {CLIENTS} at a time", asked, "MiB", at_most=GOAL_MIB),
        Figure("RSS when ready", started, "MiB"),
        Figure(f"RSS after {CLIENTS} queries of 4,000 characters at once", longest, "MiB"),
    ]
    return report(
        "How much memory does an edge service take without its language model?",
        figures,
        details={"passages": len(made.vectors)},
        versions=("onnxruntime", "faiss-cpu", "fastapi"),
    )


def _rss_mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / MIB


if __name__ == "__main__":
    main(run)
