"""Searches per second of the service against hayhooks serving Haystack: same texts, vectors, model and driver.

One worker each, 32 clients, no language model. The peer is set up at its best: tracing and monitoring off, quiet logs,
vectors of unit length so that a dot product does. txtai is left out: its API needs torch.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, Request, build_opener

from demo import demo_home, open_demo, questions
from figures import Figure, Report, main, report
from paired import Measure, paired
from processes import cpu_of, drive, environ, free_port, server, venv

from service import bundle
from service.adapters.onnx_minilm import MAX_TOKENS, OnnxMiniLM
from service.adapters.packaged import MINILM_ONNX_INT8, locate

if TYPE_CHECKING:
    import psutil

GOAL = 3.0
CLIENTS = 32
REQUESTS = 128
ROUNDS = 10
TOP_K = 3
COMPARED = 20  # questions whose results are compared
PIPELINES = Path(__file__).with_name("hayhooks")
TXTAI = "present" if find_spec("torch") else "skipped: its API needs torch, which is not installed"


def run() -> Report:
    with ExitStack() as stack:
        export = Path(stack.enter_context(TemporaryDirectory(prefix="rag-bench-")))
        chunks = _export(export)
        ours, our_url = _service(stack)
        peer, peer_url = _hayhooks(stack, export)
        same = _agreement(our_url, peer_url)
        cpu_ms: dict[str, list[float]] = {"ours": [], "peer": []}
        compared = paired(
            _seconds(our_url, ours, cpu_ms["ours"]),
            _seconds(peer_url, peer, cpu_ms["peer"]),
            rounds=ROUNDS,
            unit="s per search",
        )
    figures = [
        Figure("searches/s / hayhooks", 1 / compared.ratio, "x", at_least=GOAL),
        Figure("searches/s", 1 / median(compared.a), "1/s"),
        Figure("searches/s of hayhooks", 1 / median(compared.b), "1/s"),
        Figure("server process per search", median(cpu_ms["ours"]), "CPU ms"),
        Figure("hayhooks process per search", median(cpu_ms["peer"]), "CPU ms"),
        Figure("results in common", same, ""),
    ]
    details = compared.document() | {"chunks": chunks, "clients": CLIENTS, "topK": TOP_K, "txtai": TXTAI}
    details["peerVersions"] = _versions()
    return report(
        "How many searches does one worker answer, next to a comparable server?",
        figures,
        details=details,
        versions=("onnxruntime", "faiss-cpu", "fastapi"),
    )


def _export(folder: Path) -> int:
    """The demo bundle's texts and vectors as the peer loads them; returns how many."""
    embedder = OnnxMiniLM.open(threads=1)
    store = open_demo(embedder)
    vectors = store._index.reconstruct_n(0, store.manifest.count)  # noqa: SLF001 - what the service itself searches
    with bundle.open_chunks(bundle.resolve(demo_home())) as db:
        rows = db.execute("SELECT id, collection, author, title, url, text FROM chunks ORDER BY position").fetchall()
    with (folder / "chunks.jsonl").open("w", encoding="utf-8") as file:
        for (key, collection, author, title, url, text), vector in zip(rows, vectors.tolist(), strict=True):
            meta = {"collection": collection, "author": author, "title": title, "url": url}
            file.write(json.dumps({"id": key, "content": text, "meta": meta, "embedding": vector}) + "\n")
    (folder / "tokenizer.json").write_text(embedder.tokenizer.to_str(), encoding="utf-8")
    settings = {"model": str(locate(MINILM_ONNX_INT8)), "maxTokens": MAX_TOKENS, "topK": TOP_K}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    store.close()
    embedder.close()
    return len(rows)


def _service(stack: ExitStack) -> tuple[psutil.Process, str]:
    port = free_port()
    settings = environ(
        RAG_PORT=str(port),
        RAG_METRICS_PORT="0",
        RAG_VECTOR_STORE="faiss",
        RAG_BUNDLE_DIR=str(demo_home()),
        RAG_SERVED_BY="edge",
        RAG_TOP_K=str(TOP_K),
    )
    url = f"http://127.0.0.1:{port}"
    return stack.enter_context(server([sys.executable, "-m", "service"], f"{url}/readyz", settings)), f"{url}/search"


def _hayhooks(stack: ExitStack, export: Path) -> tuple[psutil.Process, str]:
    port = free_port()
    settings = environ(
        RAG_BENCH_EXPORT=str(export),
        LOG="WARNING",
        HAYSTACK_TELEMETRY_ENABLED="False",  # it would call home
        HF_HUB_OFFLINE="1",
    )
    command = [venv("peers").with_name("hayhooks"), "run", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--pipelines-dir", PIPELINES, "--workers", "1", "--without-tracing", "--without-monitoring"]
    url = f"http://127.0.0.1:{port}"
    return stack.enter_context(server(command, f"{url}/status", settings)), f"{url}/search/run"


def _seconds(url: str, process: psutil.Process, cpu_ms: list[float]) -> Measure:
    bodies = [{"query": question} for question in questions()]

    def measure() -> float:
        before = cpu_of(process)
        load = drive(url, bodies, clients=CLIENTS, requests=REQUESTS)
        cpu_ms.append((cpu_of(process) - before) * 1000 / REQUESTS)
        return 1 / load.per_s

    return measure


def _agreement(our_url: str, peer_url: str) -> float:
    """Mean share of the service's results that the peer gives too: both must do the same work."""
    shares = []
    for question in questions()[:COMPARED]:
        ours = {hit["id"] for hit in _ask(our_url, question)["results"]}
        theirs = {hit["id"] for hit in _ask(peer_url, question)["result"]}
        shares.append(len(ours & theirs) / TOP_K)
    return mean(shares)


def _ask(url: str, question: str) -> Any:  # noqa: ANN401 - any JSON
    request = Request(url, json.dumps({"query": question}).encode(), {"Content-Type": "application/json"})  # noqa: S310 - loopback
    with build_opener(ProxyHandler({})).open(request, timeout=30) as response:
        return json.load(response)


def _versions() -> dict[str, str]:
    lock = (Path(__file__).resolve().parents[1] / "requirements" / "peers.txt").read_text(encoding="utf-8")
    named = (line.split()[0].partition("==") for line in lock.splitlines() if "==" in line)
    return {name: version for name, _, version in named if name in {"hayhooks", "haystack-ai", "onnxruntime"}}


if __name__ == "__main__":
    main(run)
