"""FAISS: searches the bundle's index in process; metadata comes from the bundle's SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from service import bundle
from service.errors import StageUnavailable, StartupError
from service.ports import Hit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.bundle import Manifest
    from service.ports import Embedder, Vectors


class FaissStore:
    """VectorStore port over one bundle, opened once and never written."""

    def __init__(self, index: Any, chunks: sqlite3.Connection, manifest: Manifest) -> None:  # noqa: ANN401
        self._index = index
        self._chunks = chunks
        extents = chunks.execute(
            "SELECT collection, min(position), max(position) + 1, count(*) FROM chunks GROUP BY collection"
        ).fetchall()
        self._collections = frozenset(row[0] for row in extents)
        self._ranges = {row[0]: (row[1], row[2]) for row in extents if row[2] - row[1] == row[3]}
        self.manifest = manifest

    @classmethod
    def open(cls, home: Path, embedder: Embedder, *, embedder_sha256: str) -> Self:
        """Verify the current bundle of `home` and open it.

        Raises:
            StartupError: corrupt, or made by another model, dimension or count than it is used with.
        """
        import faiss  # noqa: PLC0415

        folder = bundle.resolve(home)
        manifest = bundle.verify(folder)
        _match(folder, manifest, embedder, embedder_sha256)
        flags = faiss.IO_FLAG_MMAP if manifest.index_type == "ivf-sq8" else 0
        try:
            index = faiss.read_index(str(folder / bundle.INDEX), flags)
            chunks = bundle.open_chunks(folder)
            rows = chunks.execute("SELECT count(*) FROM chunks").fetchone()[0]
        except (RuntimeError, sqlite3.Error) as exc:
            reason = str(exc).splitlines()[0]
            raise StartupError(f"{folder}: unreadable ({reason}); build it again: {bundle.BUILD_COMMAND}") from exc
        if index.d != embedder.dimension or not index.ntotal == rows == manifest.count:
            chunks.close()
            raise StartupError(
                f"{folder}: the index holds {index.ntotal} x {index.d}-D vectors and {rows} texts, but "
                f"{manifest.count} x {embedder.dimension}-D are expected; build it again: {bundle.BUILD_COMMAND}"
            )
        return cls(index, chunks, manifest)

    async def search(
        self, vectors: Vectors, *, collections: Sequence[str], limit: int, authors: Sequence[str] | None = None
    ) -> list[list[Hit]]:
        """One scan for all vectors, in a worker thread (FAISS releases the interpreter lock)."""
        try:
            return await asyncio.to_thread(self.search_now, vectors, collections, limit, authors)
        except sqlite3.Error as exc:
            raise StageUnavailable("retrieval", f"the bundle's texts can't be read ({exc})") from exc

    def search_now(
        self, vectors: Vectors, collections: Sequence[str], limit: int, authors: Sequence[str] | None = None
    ) -> list[list[Hit]]:
        """The same in the calling thread."""
        selector = self._selector(collections, authors)
        if selector is False:
            return [[] for _ in vectors]
        options = {"params": self._parameters(selector)} if selector is not None else {}
        scores, positions = self._index.search(np.ascontiguousarray(vectors, np.float32), limit, **options)
        chunks = self._chunks_at(positions)
        return [
            [
                Hit(key, collection, score, *rest)
                for score, position in zip(row_scores, row_positions, strict=True)
                if position >= 0
                for key, collection, *rest in (chunks[position],)
            ]
            for row_scores, row_positions in zip(scores.tolist(), positions.tolist(), strict=True)
        ]

    async def version(self) -> str:
        return self.manifest.files[bundle.INDEX][:16]

    async def ping(self) -> None:
        if self._index.ntotal != self.manifest.count:
            raise StageUnavailable("retrieval", "the index changed under the process; restart it")

    def close(self) -> None:
        """Close the texts; the index is freed with the object."""
        self._chunks.close()

    def _chunks_at(self, positions: NDArray[np.int64]) -> dict[int, tuple[str, ...]]:
        """Fields of a Hit but its score; one lookup by key each, which costs SQLite less than an IN list."""
        query = "SELECT id, collection, title, url, author, text FROM chunks WHERE position = ?"
        wanted = {position for position in positions.ravel().tolist() if position >= 0}
        return {position: self._chunks.execute(query, (position,)).fetchone() for position in wanted}

    def _selector(self, collections: Sequence[str], authors: Sequence[str] | None) -> Any:  # noqa: ANN401
        """None: everything; False: nothing; else a FAISS selector."""
        import faiss  # noqa: PLC0415

        wanted = [name for name in dict.fromkeys(collections) if name in self._collections]
        if not wanted or (authors is not None and not authors):
            return False
        if authors is None:
            if len(wanted) == len(self._collections):
                return None
            if len(wanted) == 1 and wanted[0] in self._ranges:
                return faiss.IDSelectorRange(*self._ranges[wanted[0]])
        clauses, values = [f"collection IN ({','.join('?' * len(wanted))})"], list(wanted)
        if authors is not None:
            clauses.append(f"author_key IN ({','.join('?' * len(authors))})")
            values += [bundle.author_key(author) for author in authors]
        query = f"SELECT position FROM chunks WHERE {' AND '.join(clauses)}"  # noqa: S608 - only question marks
        positions = [row[0] for row in self._chunks.execute(query, values)]
        return faiss.IDSelectorBatch(np.array(positions, np.int64)) if positions else False

    def _parameters(self, selector: Any) -> Any:  # noqa: ANN401
        faiss: Any = _faiss()  # its stubs lack the keyword arguments
        if self.manifest.index_type == "ivf-sq8":
            return faiss.SearchParametersIVF(sel=selector, nprobe=self._index.nprobe)
        if self.manifest.index_type == "hnsw":
            return faiss.SearchParametersHNSW(sel=selector, efSearch=self._index.hnsw.efSearch)
        return faiss.SearchParameters(sel=selector)


class BundleAuthors:
    """Documents port over the bundle: an author's id is the author's name."""

    def __init__(self, home: Path) -> None:
        self._home = home

    async def author_ids(self, name: str) -> tuple[str, ...]:
        """Authors of the bundle whose name is `name`, case-insensitively."""
        return await asyncio.to_thread(self._find, name)

    async def ping(self) -> None:
        bundle.read_manifest(bundle.resolve(self._home))

    def _find(self, name: str) -> tuple[str, ...]:
        try:
            with closing(bundle.open_chunks(bundle.resolve(self._home))) as db:
                query = "SELECT DISTINCT author FROM chunks WHERE author_key = ?"
                return tuple(row[0] for row in db.execute(query, (bundle.author_key(name),)))
        except sqlite3.Error as exc:
            raise StageUnavailable("documents", f"the bundle's texts can't be read ({exc})") from exc


def _faiss() -> Any:  # noqa: ANN401
    import faiss  # noqa: PLC0415

    return faiss


def _match(folder: Path, manifest: Manifest, embedder: Embedder, embedder_sha256: str) -> None:
    facts = (
        ("embedding model", manifest.embedding_model, embedder.model_id),
        ("embedding model sha256", manifest.embedding_sha256, embedder_sha256),
        ("dimension", manifest.dimension, embedder.dimension),
    )
    for name, made_with, used_with in facts:
        if made_with != used_with:
            raise StartupError(
                f"{folder}: its {name} is {made_with}, the service runs {used_with}; "
                f"build it again: {bundle.BUILD_COMMAND}"
            )
