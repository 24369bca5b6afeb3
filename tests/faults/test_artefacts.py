"""F26 to F28: a bundle is whole or it is not there, and a service starts with a whole one or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from service import bundle
from service.adapters import faiss_build, packaged
from service.adapters.onnx_minilm import MODEL_ID
from service.jobs import ingest
from tests.conftest import CORPUS
from tests.contract.conftest import Library
from tests.system.test_service_process import copy, environment, refused

PASSAGES = 100
SPOOL_FITS = 100_000  # bytes: below the vectors of so many passages, above what reading the spool takes


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    texts = [
        f"Passage {n}: the engine weaves {n} patterns as the loom weaves {n} leaves. " * 8 for n in range(PASSAGES)
    ]
    lines = [json.dumps({"collection": "posts", "text": text}) for text in texts]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    return folder


@pytest.mark.fault("F26")
@pytest.mark.parametrize(
    ("embedded", "bytes_left", "what"),
    [(False, 10_000, "made.sqlite"), (True, SPOOL_FITS, "vectors.f32")],
    ids=["while embedding", "while writing"],
)
def test_a_full_disk_is_one_line_the_old_bundle_stays_and_the_same_command_finishes(
    documents: Path, corpus: Path, tmp_path: Path, *, embedded: bool, bytes_left: int, what: str
) -> None:
    ingest.ingest(corpus, tmp_path, "flat", min_recall=0.9, threads=1)
    old = bundle.resolve(tmp_path)
    command = [str(documents), "--out", str(tmp_path), "--threads", "1"]
    if embedded:
        assert ingest.main([*command, "--min-recall", "1.1"]) == 1
    limited = ["prlimit", f"--fsize={bytes_left}", sys.executable, "-m", "service.jobs.ingest", *command]
    full = subprocess.run(limited, capture_output=True, text=True, timeout=120, check=False)
    said = [line for line in full.stderr.splitlines() if line.startswith("ingest: ")]
    assert full.returncode == 1
    assert len(said) == 1
    assert what in said[0]
    assert "can't be written" in said[0]
    assert said[0].endswith("the old bundle is untouched")
    assert "Traceback" not in full.stderr
    assert bundle.resolve(tmp_path) == old
    assert {path.name for path in tmp_path.iterdir()} == {old.name, "current", ".spool"}
    assert bundle.verify(old).count == len(CORPUS.splitlines())
    assert ingest.main(command) == 0
    assert bundle.verify(bundle.resolve(tmp_path)).count >= PASSAGES
    assert not (tmp_path / ".spool").exists()


@pytest.mark.fault("F27")
def test_a_bundle_that_was_cut_short_is_refused_in_one_line(library: Library, tmp_path: Path) -> None:
    folder = copy(library.home, tmp_path / "bundle")
    with (folder / bundle.INDEX).open("r+b") as file:
        file.truncate(100)
    assert "index.faiss is corrupt" in refused(environment(folder))


@pytest.mark.fault("F28")
def test_an_index_of_385_dimensions_is_refused_in_one_line(tmp_path: Path) -> None:
    rows = np.eye(20, 385, dtype=np.float32)
    with bundle.replacing(tmp_path) as staging:
        faiss_build.write(faiss_build.build(rows, "flat"), staging / bundle.INDEX)
        chunks = [bundle.Chunk(str(n), "repos", "a", "t", "u", "text") for n in range(20)]
        bundle.write_chunks(staging / bundle.CHUNKS, chunks)
        manifest = bundle.Manifest(
            embedding_model=MODEL_ID,
            embedding_sha256=packaged.MINILM_ONNX_INT8.sha256,
            dimension=385,
            count=20,
            index_type="flat",
            recall_at_10=1,
            files=bundle.checksums(staging),
            created=datetime.now(UTC),
            source="test",
        )
        bundle.write_manifest(staging, manifest)
    assert "its dimension is 385, the service runs 384; build it again" in refused(environment(tmp_path))
