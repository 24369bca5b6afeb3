"""Documents -> chunks -> vectors -> an edge bundle.

    python -m service.jobs.ingest [PATH] --out DIR [--index sq8]

PATH is a folder of Markdown, HTML, text or JSONL; without it the demo corpus of this machine is taken. Progress goes
to stderr; the manifest of the finished bundle to stdout. Exit code 1 and one line on stderr where it can't be built.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from service import bundle
from service.adapters import faiss_index
from service.adapters.onnx_minilm import MAX_BATCH, OnnxMiniLM
from service.adapters.splitter import Splitter
from service.bundle import Chunk, IndexType, Manifest
from service.errors import StartupError
from service.jobs import corpus, progress

if TYPE_CHECKING:
    from service.ports import Vectors

DEFAULT_MAX_CHUNKS = 24  # per demo document: the head of a README says what the thing is


def main(argv: Sequence[str] | None = None) -> int:
    """Build one bundle; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m service.jobs.ingest", description="Build an edge bundle")
    parser.add_argument("path", nargs="?", type=Path, help="folder of .md, .html, .txt, .jsonl; default: demo corpus")
    parser.add_argument(
        "--out", type=Path, required=True, help="bundle home; its link `current` is replaced at the end"
    )
    parser.add_argument("--index", choices=get_args(IndexType), default="sq8")
    parser.add_argument("--min-recall", type=float, default=0.0, help="refuse an index below this recall@10")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(argv)
    try:
        manifest = ingest(
            options.path, options.out, options.index, min_recall=options.min_recall, threads=options.threads
        )
    except StartupError as exc:
        sys.stderr.write(f"ingest: {exc.detail}\n")
        return 1
    except OSError as exc:
        sys.stderr.write(f"ingest: {options.out}: {exc.strerror or exc}; the old bundle is untouched\n")
        return 1
    sys.stdout.write(manifest.model_dump_json(by_alias=True, indent=2) + "\n")
    return 0


def ingest(path: Path | None, out: Path, kind: IndexType, *, min_recall: float, threads: int) -> Manifest:
    """Read, cut, embed, index, verify, switch.

    Raises:
        StartupError: nothing to read, a model that can't be loaded, or a recall below `min_recall`.
    """
    documents = corpus.demo() if path is None else corpus.folder(path)
    embedder = OnnxMiniLM.open(threads=threads)
    try:
        chunks = _split(documents, embedder, limit=DEFAULT_MAX_CHUNKS if path is None else None)
        vectors = _embed(chunks, embedder)
    finally:
        embedder.close()
    return _write(chunks, vectors, out, kind, embedder, source=str(path or "demo"), min_recall=min_recall)


def _split(documents: Sequence[corpus.Document], embedder: OnnxMiniLM, *, limit: int | None) -> list[Chunk]:
    splitter = Splitter(embedder.tokenizer)
    chunks: dict[str, Chunk] = {}
    with progress.stage("split", len(documents)) as advance:
        for document in documents:
            chunks.update((chunk.id, chunk) for chunk in splitter.split(document)[:limit])
            advance(1)
    # Grouped by collection: a search in one collection is then a scan of one range of the index.
    ordered = sorted(chunks.values(), key=lambda chunk: chunk.collection)
    if not ordered:
        raise StartupError("the documents hold no text to index")
    counted = Counter(chunk.collection for chunk in ordered)
    sys.stderr.write(f"chunks: {', '.join(f'{count} {name}' for name, count in sorted(counted.items()))}\n")
    if unusual := set(counted) - set(corpus.COLLECTIONS):
        sys.stderr.write(f"not searched unless retrieval.collections names them: {', '.join(sorted(unusual))}\n")
    return ordered


def _embed(chunks: Sequence[Chunk], embedder: OnnxMiniLM) -> Vectors:
    """Embed title and text together, longest passages apart from the shortest so that padding costs little."""
    texts = [f"{chunk.title}\n{chunk.text}" for chunk in chunks]
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.empty((len(texts), embedder.dimension), np.float32)
    with progress.stage("embed", len(texts)) as advance:
        for start in range(0, len(texts), MAX_BATCH):
            rows = by_length[start : start + MAX_BATCH]
            vectors[rows] = embedder.embed_now([texts[i] for i in rows])
            advance(len(rows))
    return vectors


def _write(
    chunks: Sequence[Chunk],
    vectors: Vectors,
    out: Path,
    kind: IndexType,
    embedder: OnnxMiniLM,
    *,
    source: str,
    min_recall: float,
) -> Manifest:
    index = faiss_index.build(vectors, kind)
    recall = faiss_index.recall_at_10(index, vectors)
    if not recall >= min_recall:  # so that NaN is no way around it
        raise StartupError(
            f"index {kind}: recall@10 is {recall:.3f}, below {min_recall:g}; take another hybrid.index.type or lower "
            "hybrid.index.minRecall"
        )
    with bundle.replacing(out) as staging:
        faiss_index.write(index, staging / bundle.INDEX)
        count = bundle.write_chunks(staging / bundle.CHUNKS, chunks)
        manifest = Manifest(
            embedding_model=embedder.model_id,
            embedding_sha256=embedder.sha256,
            dimension=embedder.dimension,
            count=count,
            index_type=kind,
            recall_at_10=round(recall, 4),
            files=bundle.checksums(staging),
            created=datetime.now(UTC),
            source=source,
        )
        bundle.write_manifest(staging, manifest)
    return manifest


if __name__ == "__main__":
    sys.exit(main())
