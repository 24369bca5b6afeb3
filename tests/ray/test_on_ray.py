"""An ingestion on Ray Data, in the environment of `make test-ray`: the same passages as without it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

LIMIT_S = 600


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text(f"The engine weaves {number} patterns as a loom weaves flowers. " * 40)
    return folder


def ingest(*options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service.jobs.ingest", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def passages(home: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(home / "current" / "chunks.sqlite")) as chunks:
        return chunks.execute("SELECT id, text FROM chunks ORDER BY id").fetchall()


def test_ray_makes_the_same_bundle(documents: Path, tmp_path: Path) -> None:
    plain = ingest(documents, "--out", tmp_path / "plain")
    on_ray = ingest(documents, "--out", tmp_path / "on-ray", "--engine", "ray", "--workers", "2", "--threads", "1")
    assert (plain.returncode, on_ray.returncode) == (0, 0), on_ray.stderr
    assert len(passages(tmp_path / "plain")) > 12
    assert passages(tmp_path / "on-ray") == passages(tmp_path / "plain")


def test_a_cluster_that_is_not_there_is_one_line(documents: Path, tmp_path: Path) -> None:
    options = ["--out", tmp_path / "home", "--engine", "ray", "--ray-address", "127.0.0.1:1"]
    refused = ingest(documents, *options)
    assert refused.returncode == 1
    said = [line for line in refused.stderr.splitlines() if line.startswith("ingest: ")]
    assert len(said) == 1
    assert said[0].startswith("ingest: Ray: no cluster answers at 127.0.0.1:1 (Connection refused)")
    assert "Traceback" not in refused.stderr
