"""A Qdrant's collections -> an edge bundle.

    python -m service.jobs.export_bundle --out DIR [--index sq8] [--min-recall 0.98]

Reads RAG_COLLECTIONS of the Qdrant at QDRANT_CLOUD_URL a page at a time. Before the bundle replaces the one in use, its
counts are compared with Qdrant's, a sample of its vectors with the source, a sample of its texts with the embedding
model, every vector of the index with what was read, and its recall with exact search. Progress goes to stderr, the
manifest to stdout. Exit code 1 and one line where it is refused; the bundle in use is untouched then.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from service import bundle, settings
from service.adapters.onnx_minilm import OnnxMiniLM
from service.adapters.qdrant_points import Address, QdrantPoints
from service.bundle import Chunk, IndexType, Manifest
from service.errors import RagError, StartupError
from service.jobs import bundle_writer, progress, work
from service.jobs.ingest import PATIENCE_S
from service.vault import fetch

if TYPE_CHECKING:
    from service.ports import Vectors

MIN_RECALL = 0.98  # hybrid.index.minRecall
SAMPLE = 200  # vectors read a second time
EMBEDDED = 16  # texts embedded again
SAME_MODEL = 0.95  # mean cosine; another batch moves an int8 model's vectors by some 0.001
SAME_VECTOR = 1e-6


@dataclass
class Export:
    """One run: what is read, and what it is compared with."""

    points: QdrantPoints
    embedder: OnnxMiniLM
    collections: Sequence[str]
    _before: dict[str, int] = field(default_factory=dict)

    def count(self) -> int:
        """Points to read.

        Raises:
            StartupError: nothing there, or vectors of another shape.
        """
        for name in self.collections:
            if not self.points.exists(name):
                raise StartupError(f"collection {name} does not exist; ingest it, or take it out of RAG_COLLECTIONS")
            self.points.check(name, self.embedder.dimension)
            self._before[name] = self.points.count(name)
        if not sum(self._before.values()):
            raise StartupError(f"no point in {', '.join(self.collections)}; ingest documents first")
        return sum(self._before.values())

    def pages(self, advance: progress.Advance) -> Iterator[tuple[Sequence[Chunk], Vectors]]:
        """Collection by collection, so that a search in one of them scans one range of the index."""
        for name in sorted(self.collections):
            read = 0
            for chunks, vectors in self.points.pages(name):
                if not read:
                    self._same_model(chunks, vectors)
                read += len(chunks)
                yield chunks, vectors
                advance(len(chunks))
            after = self.points.count(name)
            if not read == after == self._before[name]:
                raise StartupError(
                    f"collection {name} held {self._before[name]} points before, {after} after, and {read} were read: "
                    "it was written meanwhile; export it again once the ingestion has ended"
                )

    def compare(self, folder: Path, vectors: Vectors) -> None:
        """A sample is read again, by id, and must be where the bundle has it."""
        with closing(bundle.open_chunks(folder)) as chunks:
            for name in sorted(self.collections):
                query = "SELECT id, position FROM chunks WHERE collection = ? ORDER BY position"
                rows = chunks.execute(query, (name,)).fetchall()
                if not rows:
                    continue
                picks = np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(int)
                some = dict(rows[pick] for pick in picks)
                again = self.points.vectors(name, [int(key) if key.isdecimal() else key for key in some])
                wrong = [key for key, at in some.items() if not _same(again.get(key), vectors[at])]
                if wrong:
                    raise StartupError(
                        f"collection {name}: the vector of point {wrong[0]} is another one now; export it again"
                    )

    def _same_model(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        some = [work.embedded(chunk) for chunk in chunks[:EMBEDDED]]
        ours = self.embedder.embed_now(some)
        cosine = float(np.mean(np.sum(ours * vectors[: len(some)], axis=1)))
        if not cosine >= SAME_MODEL:
            raise StartupError(
                f"collection {chunks[0].collection} was made by another embedding model than {self.embedder.model_id} "
                f"(mean cosine {cosine:.2f} over {len(some)} texts); ingest it again"
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Export once; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m service.jobs.export_bundle", description="Qdrant -> edge bundle")
    parser.add_argument(
        "--out", type=Path, required=True, help="bundle home; its link `current` is replaced at the end"
    )
    parser.add_argument("--index", choices=get_args(IndexType), default="sq8")
    parser.add_argument("--min-recall", type=float, default=MIN_RECALL, help="refuse an index below this recall@10")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_S, metavar="S", help="how long a Qdrant that is away is waited for"
    )
    options = parser.parse_args(argv)
    try:
        manifest = export(options.out, options.index, min_recall=options.min_recall, patience_s=options.patience)
    except RagError as exc:
        sys.stderr.write(f"export_bundle: {exc.detail}\n")
        return 1
    except OSError as exc:
        sys.stderr.write(f"export_bundle: {options.out}: {exc.strerror or exc}; the old bundle is untouched\n")
        return 1
    sys.stdout.write(manifest.model_dump_json(by_alias=True, indent=2) + "\n")
    return 0


def export(out: Path, kind: IndexType, *, min_recall: float, patience_s: float = PATIENCE_S) -> Manifest:
    """Read, write, compare, switch.

    Raises:
        StartupError: nothing to export, or something is not as it must be.
        StageUnavailable: Qdrant went away.
    """
    told = settings.load(fetch, **settings.NOT_A_SERVER, vector_store="qdrant")
    embedder = OnnxMiniLM.open(
        model=told.embedding_model_path, tokenizer=told.tokenizer_path, threads=os.cpu_count() or 1
    )
    address = Address(str(told.qdrant_url), told.qdrant_api_key, patience_s)
    with closing(embedder), closing(QdrantPoints.open(address)) as points:
        run = Export(points, embedder, told.collections)
        total = run.count()
        recipe = bundle_writer.Recipe(
            kind,
            min_recall,
            embedder.model_id,
            embedder.sha256,
            embedder.dimension,
            f"qdrant:{','.join(told.collections)}",
        )
        with progress.stage("points", total) as advance:
            return bundle_writer.write(out, run.pages(advance), recipe, check=run.compare)


def _same(again: Vectors | None, read: Vectors) -> bool:
    return again is not None and bool(np.max(np.abs(again - read)) <= SAME_VECTOR)


if __name__ == "__main__":
    sys.exit(main())
