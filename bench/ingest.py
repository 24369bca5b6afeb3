"""Ingestion: what it adds to the embedding itself, and what a second worker gains.

The first is CPU time in one thread, so that a neighbour's load does not count as ours. The second is wall time, since
two processes are about that: it means nothing on a machine whose cores are busy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from figures import Figure, Report, main, report
from paired import Measure, cpu_here_s, paired, wall_s

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from service.adapters import packaged
from service.adapters.onnx_minilm import DIMENSION, MODEL_ID, OnnxMiniLM
from service.jobs import bundle_writer, corpus, ingest, sinks, work
from service.jobs.sources import Folder
from service.jobs.work import Recipe, Worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from service.jobs.work import Done

ROUNDS, WORKER_ROUNDS = 6, 3
DOCUMENTS, MANY_DOCUMENTS = 40, 200
MOST_CHARS = 4_000
OF_RAW, OF_ONE = 0.9, 1.6


def run() -> Report:
    with TemporaryDirectory(prefix="rag-bench-") as folder:
        few, many = _documents(Path(folder) / "few", DOCUMENTS), _documents(Path(folder) / "many", MANY_DOCUMENTS)
        recipe = Recipe(threads=1)
        with Worker.opened(recipe) as worker:
            raw = _raw_loop(worker._embedder, few)  # noqa: SLF001 - a second session would not be paired
            whole = cpu_here_s(lambda: _ingest(few, Path(folder) / "home", recipe, worker))
            by_raw = paired(cpu_here_s(raw), whole, rounds=ROUNDS, unit="CPU s", warmups=1)
        by_workers = paired(
            _command(many, folder, workers=1), _command(many, folder, workers=2), rounds=WORKER_ROUNDS, warmups=0
        )
    figures = [
        Figure("documents/s of ingestion / raw embedding loop", by_raw.ratio, "x", at_least=OF_RAW),
        Figure("two workers / one", by_workers.ratio, "x", at_least=OF_ONE),
    ]
    details = {"byRaw": by_raw.document(), "byWorkers": by_workers.document()}
    return report(
        "What does an ingestion add to embedding, and what does a second worker gain?",
        figures,
        details=details,
        versions=("onnxruntime", "tokenizers", "semantic-text-splitter", "faiss-cpu"),
    )


def _documents(folder: Path, count: int) -> Path:
    folder.mkdir()
    readmes = [document for document in corpus.demo() if len(document.text) > MOST_CHARS // 2][:count]
    for document in readmes:
        (folder / f"{document.title}.md").write_text(document.text[:MOST_CHARS])
    return folder


def _raw_loop(embedder: OnnxMiniLM, folder: Path) -> Measure:
    """The same passages, ready made, in the same batches: the model and nothing else."""
    with Worker.opened(Recipe(threads=1)) as cutter:
        splitter = cutter._splitter  # noqa: SLF001 - the texts that the ingestion embeds
        batches = [
            [work.embedded(chunk) for document in unit for chunk in splitter.split(document)]
            for unit in work.units(iter(corpus.folder(folder)))
        ]

    def loop() -> float:
        return float(sum(embedder.embed_now(batch).sum() for batch in batches))

    return loop


def _ingest(folder: Path, home: Path, recipe: Recipe, worker: Worker) -> None:
    """The whole job but for loading the model, which is once per run and not per document."""
    sha256 = packaged.MINILM_ONNX_INT8.sha256

    def engine(_: Recipe, units: Iterable[list[corpus.Document]]) -> Iterator[Done]:
        return (worker.do(unit) for unit in units)

    wanted = bundle_writer.Recipe("sq8", 0.0, MODEL_ID, sha256, DIMENSION, "bench")
    with sinks.BundleSink.opened(home, wanted) as sink:
        ingest.run(Folder(folder), sink, engine, recipe, sha256)


def _command(folder: Path, home: str, *, workers: int) -> Measure:
    options = ["--out", f"{home}/by-{workers}", "--workers", str(workers), "--threads", "1"]
    command = [sys.executable, "-m", "service.jobs.ingest", str(folder), *options]
    env = {"PATH": os.environ["PATH"]}
    return wall_s(lambda: subprocess.run(command, env=env, check=True, capture_output=True))


if __name__ == "__main__":
    main(run)
