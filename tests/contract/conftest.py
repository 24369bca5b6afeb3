from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from service import bundle
from service.adapters.onnx_minilm import OnnxMiniLM
from service.bundle import Chunk
from service.jobs.ingest import ingest
from service.ports import Vectors

COLLECTIONS = ("posts", "articles", "repos")


@dataclass(frozen=True)
class Library:
    """The same chunks and vectors for every store, and what an exact search over them finds."""

    home: Path
    chunks: list[Chunk]
    vectors: Vectors
    embedder: OnnxMiniLM

    def exact(self, query: str, collections: tuple[str, ...] = COLLECTIONS) -> list[tuple[str, float]]:
        """(id, cosine), best first."""
        cosines = self.vectors @ self.embedder.embed_now([query])[0]
        order = [n for n in np.argsort(-cosines) if self.chunks[n].collection in collections]
        return [(self.chunks[n].id, float(cosines[n])) for n in order]


@pytest.fixture(scope="session")
def library(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    home = tmp_path_factory.mktemp("bundle")
    ingest(corpus, home, "flat", min_recall=1.0, threads=1)
    with closing(bundle.open_chunks(bundle.resolve(home))) as db:
        rows = db.execute("SELECT id, collection, author, title, url, text FROM chunks ORDER BY position").fetchall()
    chunks = [Chunk(*row) for row in rows]
    embedder = OnnxMiniLM.open()
    vectors = embedder.embed_now([f"{chunk.title}\n{chunk.text}" for chunk in chunks])
    yield Library(home, chunks, vectors, embedder)
    embedder.close()
