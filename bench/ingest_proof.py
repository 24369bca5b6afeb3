"""The whole way at size: 20,000 real chunks, MongoDB -> Qdrant -> bundle, with a kill in the middle and equal counts.

    python bench/ingest_proof.py [CHUNKS]

Real are the texts, the MongoDB wire protocol, the processes, the kill and the model; Qdrant is the client's local mode
behind its REST calls. Takes some ten minutes; JSON to stdout, exit code 1 where a count differs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paired import environment

from tests import real_corpus
from tests.fake_qdrant import FakeQdrant
from tests.real_processes import mongo_server, serve, wait_until

CHUNKS = 20_000
MORE = 1.5  # the estimate of a text's chunks is rough
FILES = 16
LIMIT_S = 3600.0
COLLECTIONS = ("posts", "articles", "repos")


def main(chunks: int) -> int:
    with TemporaryDirectory(prefix="rag-proof-") as folder, mongo_server(Path(folder)) as mongo:
        url = f"mongodb://127.0.0.1:{mongo.port}"
        documents = real_corpus.fill(url, chunks=round(chunks * MORE), files=FILES)
        fake = FakeQdrant()
        with serve(fake.app()) as qdrant:
            told = {"PATH": os.environ["PATH"], "DATABASE_HOST": url, "QDRANT_CLOUD_URL": qdrant.url}
            proof = _prove(told, fake, chunks, Path(folder) / "bundle")
    counts = {
        "MongoDB": sum(documents.values()),
        "read": proof["second"]["read"],
        "chunks": proof["second"]["chunks"],
        "inQdrant": proof["second"]["held"],
        "inBundle": proof["manifest"]["count"],
        "writtenByAThirdRun": proof["third"]["written"],
    }
    same = counts["MongoDB"] == counts["read"] and counts["chunks"] == counts["inQdrant"] == counts["inBundle"]
    holds = same and counts["writtenByAThirdRun"] == 0 and counts["chunks"] >= chunks
    print(json.dumps({"holds": holds, "counts": counts, **proof, "environment": environment("onnxruntime")}, indent=2))
    return int(not holds)


def _prove(told: dict[str, str], fake: FakeQdrant, chunks: int, home: Path) -> dict[str, Any]:
    feed = [sys.executable, "-m", "service.jobs.ingest", "--mongo", "--qdrant", "--workers", "2"]
    began = perf_counter()
    first = subprocess.Popen(feed, env=told, stdout=subprocess.DEVNULL)
    wait_until(lambda: _points(fake) >= chunks // 2, within_s=LIMIT_S, what="half of the chunks")
    first.send_signal(signal.SIGKILL)
    first.wait()
    at_the_kill, killed_s = _points(fake), perf_counter() - began
    second, second_s = _run(feed, told)
    third, third_s = _run(feed, told)
    manifest, export_s = _run([sys.executable, "-m", "service.jobs.export_bundle", "--out", str(home)], told)
    return {
        "killedAt": {"points": at_the_kill, "s": round(killed_s, 1)},
        "second": _summed(second) | {"s": round(second_s, 1)},
        "third": _summed(third) | {"s": round(third_s, 1)},
        "export": {"s": round(export_s, 1), "indexBytes": (home / "current" / "index.faiss").stat().st_size},
        "manifest": manifest,
    }


def _run(command: list[str], told: dict[str, str]) -> tuple[dict[str, Any], float]:
    began = perf_counter()
    done = subprocess.run(command, env=told, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout), perf_counter() - began


def _points(fake: FakeQdrant) -> int:
    return sum(len(collection.ids) for collection in fake.store._client.collections.values())  # noqa: SLF001


def _summed(report: dict[str, Any]) -> dict[str, int]:
    counts = ("read", "documents", "chunks", "written", "unchanged", "removed", "held")
    return {count: sum(one[count] for one in report["collections"].values()) for count in counts}


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else CHUNKS))
