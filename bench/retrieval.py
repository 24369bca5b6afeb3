"""Three collections of one Qdrant, each with its own delay: their search together against the slowest alone.

Qdrant is a stub that speaks the batch query of its REST API and waits; client, pool and parsing are the service's.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import uvicorn
import uvloop
from fastapi import FastAPI, Request
from figures import Figure, Report, main, report
from paired import paired, wall_s
from processes import environ, free_port, server

from service.adapters.onnx_minilm import DIMENSION
from service.adapters.qdrant import QdrantStore

if TYPE_CHECKING:
    from collections.abc import Sequence

DELAYS_S = {"posts": 0.06, "articles": 0.08, "repos": 0.1}
SLOWEST = max(DELAYS_S, key=lambda name: DELAYS_S[name])
GOAL = 1.2
ROUNDS = 20
WORDINGS = 4
CANDIDATES = 20


def stub() -> FastAPI:
    """Answers every batched query with CANDIDATES points, after the collection's delay."""
    app = FastAPI()
    payload = {
        "title": "Supervisor",
        "url": "https://example.org",
        "author": "ada",
        "text": "Controls processes. " * 30,
    }

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.post("/collections/{name}/points/query/batch")
    async def query(name: str, request: Request) -> dict[str, Any]:
        searches = (await request.json())["searches"]
        await asyncio.sleep(DELAYS_S[name])
        points = [{"id": n, "version": 1, "score": 0.9 - n / 100, "payload": payload} for n in range(CANDIDATES)]
        return {"result": [{"points": points} for _ in searches], "status": "ok", "time": DELAYS_S[name]}

    return app


def run() -> Report:
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, __file__, "--port", url.rpartition(":")[2]]
    with (
        server(command, f"{url}/livez", environ()),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,  # the service's loop
    ):
        store = QdrantStore.open(
            url, api_key=None, collections=tuple(DELAYS_S), dimension=DIMENSION, connections=20, timeout_s=5.0
        )
        compared = paired(
            wall_s(lambda: runner.run(_search(store, tuple(DELAYS_S)))),
            wall_s(lambda: runner.run(_search(store, (SLOWEST,)))),
            rounds=ROUNDS,
        )
        runner.run(store.aclose())
    figures = [
        Figure("three collections / the slowest of them", compared.ratio, "x wall", at_most=GOAL),
        Figure("three collections", median(compared.a) * 1000, "ms"),
        Figure("the slowest alone", median(compared.b) * 1000, "ms"),
    ]
    details = compared.document() | {"delaysS": DELAYS_S, "wordings": WORDINGS, "candidates": CANDIDATES}
    return report(
        "Do three collections take as long as the slowest?",
        figures,
        details=details,
        versions=("qdrant-client", "httpx"),
    )


async def _search(store: QdrantStore, collections: Sequence[str]) -> None:
    vectors = np.full((WORDINGS, DIMENSION), DIMENSION**-0.5, np.float32)
    found = await store.search(vectors, collections=collections, limit=CANDIDATES)
    if [len(hits) for hits in found] != [CANDIDATES] * WORDINGS:
        raise RuntimeError("the stub's points did not come back: the adapter and the stub disagree")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, help="serve the stub on this port instead of measuring")
    port = parser.parse_args().port
    if port:
        uvicorn.run(stub(), port=port, log_level="warning", access_log=False)
    else:
        main(run)
