"""Export of 100,000 x 384 from a Qdrant: its time against reading the points once, its size, recall and memory.

What stands in for Qdrant answers with pages that were encoded beforehand, from a process of its own: the reading is all
ours, its network none.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from figures import Figure, Report, main, report
from paired import paired, wall_s
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from synthetic import _unit_vectors

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from service.adapters.qdrant_points import PAGE
from tests.real_processes import free_port, running

ROWS = int(os.environ.get("BENCH_ROWS", "100000"))
ROUNDS = 3
TIMES_READING, INDEX_MB = 3.0, 41.0
COLLECTION = "articles"
INFO: dict[str, Any] = {
    "status": "green", "optimizer_status": "ok", "segments_count": 1, "payload_schema": {},
    "config": {
        "params": {"vectors": {"size": 384, "distance": "Cosine"}},
        "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
        "optimizer_config": {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0,
                             "flush_interval_sec": 5},
    },
}  # fmt: skip


def run() -> Report:
    port = free_port()
    with (
        TemporaryDirectory(prefix="rag-bench-") as folder,
        running([sys.executable, __file__, str(port)], port) as server,
    ):
        home = Path(folder) / "home"
        exporting = wall_s(lambda: _export(server.url, home))
        compared = paired(exporting, wall_s(lambda: _read(server.url)), rounds=ROUNDS, warmups=0)
        manifest = json.loads((home / "current" / "manifest.json").read_text())
        index_mb = (home / "current" / "index.faiss").stat().st_size / 1e6
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    figures = [
        Figure(f"export of {ROWS} / reading them once", compared.ratio, "x", at_most=TIMES_READING),
        Figure("index file", index_mb, "MB", at_most=INDEX_MB),
        Figure("recall@10 of exact search", manifest["recallAt10"], "", at_least=0.98),
        Figure("largest process, mapped files and the stand-in included", peak_mib, "MiB"),
    ]
    return report(
        "What does an export cost beside reading?",
        figures,
        details=compared.document(),
        versions=("faiss-cpu", "qdrant-client", "numpy"),
    )


def _read(url: str) -> None:
    code = (
        "import sys; from service.adapters.qdrant_points import Address, QdrantPoints;"
        "points = QdrantPoints.open(Address(sys.argv[1], None, 5.0));"
        "assert sum(len(chunks) for chunks, _ in points.pages(sys.argv[2])) == int(sys.argv[3])"
    )
    _run(url, "-c", code, url, COLLECTION, str(ROWS))


def _export(url: str, home: Path) -> None:
    _run(url, "-m", "service.jobs.export_bundle", "--out", str(home))


def _run(url: str, *arguments: str) -> None:
    told = {"PATH": os.environ["PATH"], "QDRANT_CLOUD_URL": url, "RAG_COLLECTIONS": COLLECTION}
    subprocess.run([sys.executable, *arguments], env=told, check=True, capture_output=True)


def serve(port: int) -> None:
    """Answer the calls of an export; a point's text is embedded again, so the first page's texts have true vectors."""
    points = _points()
    pages = [_encoded(points[at : at + PAGE], at + PAGE if at + PAGE < ROWS else None) for at in range(0, ROWS, PAGE)]

    async def info(_: Request) -> Response:
        return _answer(INFO | {"points_count": ROWS})

    async def exists(_: Request) -> Response:
        return _answer({"exists": True})

    async def count(_: Request) -> Response:
        return _answer({"count": ROWS})

    async def scroll(request: Request) -> Response:
        body = await request.json()
        return Response(pages[(body.get("offset") or 0) // PAGE], media_type="application/json")

    async def retrieve(request: Request) -> Response:
        body = await request.json()
        return _answer([points[key] for key in body["ids"]])

    base = "/collections/{name}"
    calls = [(f"{base}/exists", exists, "GET"), (base, info, "GET"), (f"{base}/points/count", count, "POST"),
             (f"{base}/points/scroll", scroll, "POST"), (f"{base}/points", retrieve, "POST")]  # fmt: skip
    app = Starlette(routes=[Route(path, call, methods=[method]) for path, call, method in calls])
    asyncio.run(uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical")).serve())


def _points() -> list[dict[str, Any]]:
    from service.adapters.onnx_minilm import OnnxMiniLM
    from service.jobs.export_bundle import EMBEDDED

    texts = [f"Passage {n} says what it is about in words that nobody searches for. " * 9 for n in range(ROWS)]
    vectors = _unit_vectors(ROWS)
    embedder = OnnxMiniLM.open()
    vectors[:EMBEDDED] = embedder.embed_now([f"Passage {n}\n{texts[n]}" for n in range(EMBEDDED)])
    embedder.close()
    return [
        {"id": n, "vector": vector.tolist(),
         "payload": {"author": f"author{n % 97}", "title": f"Passage {n}", "url": f"https://example.org/{n}",
                     "text": texts[n]}}
        for n, vector in enumerate(vectors)
    ]  # fmt: skip


def _encoded(points: list[dict[str, Any]], following: int | None) -> bytes:
    return json.dumps(
        {"result": {"points": points, "next_page_offset": following}, "status": "ok", "time": 0.0}
    ).encode()


def _answer(result: Any) -> Response:  # noqa: ANN401 - JSON
    return JSONResponse({"result": result, "status": "ok", "time": 0.0})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(int(sys.argv[1]))
    else:
        main(run)
