"""Where an ingestion goes: into a Qdrant, or into an edge bundle. Both know what they hold, so a killed run goes on.

Qdrant's points carry the state of their document. A bundle is written whole at the end; until then chunks and vectors
are kept in a spool beside it, which is gone once the bundle is there.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from service import bundle
from service.adapters.qdrant_points import Address, QdrantPoints
from service.bundle import Chunk
from service.errors import StartupError
from service.jobs import bundle_writer
from service.jobs.ledger import Ledger, State, complete
from service.jobs.work import Done

if TYPE_CHECKING:
    from service.bundle import Manifest
    from service.ports import Vectors

SPOOL = ".spool"
PAGE = 1024
_SCHEMA = """
CREATE TABLE IF NOT EXISTS made (
    collection TEXT NOT NULL, document TEXT NOT NULL, digest TEXT NOT NULL, number INTEGER NOT NULL,
    chunks INTEGER NOT NULL, id TEXT NOT NULL, author TEXT NOT NULL, title TEXT NOT NULL, url TEXT NOT NULL,
    text TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (collection, document, number)
);
"""


class Sink(Protocol):
    """An index that is being brought to a new state."""

    def prepare(self, collections: Sequence[str]) -> None:
        """Make what is not there; raise where it can't take these vectors."""
        ...

    def holds(self, collection: str) -> Mapping[str, State]:
        """Documents that are there whole."""
        ...

    def add(self, done: Done) -> None:
        """Take a unit that the worker did not write itself."""
        ...

    def finish(self, ledger: Ledger) -> None:
        """Remove what is gone, count what is there."""
        ...


@dataclass
class QdrantSink:
    """`empty_ok` lets a collection be emptied whose source is empty."""

    points: QdrantPoints
    dimension: int
    model_sha256: str
    empty_ok: bool = False
    _collections: Sequence[str] = ()

    @classmethod
    @contextmanager
    def opened(cls, address: Address, *, dimension: int, model_sha256: str, empty_ok: bool) -> Iterator[QdrantSink]:
        """Closed after the block."""
        points = QdrantPoints.open(address)
        try:
            yield cls(points, dimension, model_sha256, empty_ok)
        finally:
            points.close()

    def prepare(self, collections: Sequence[str]) -> None:
        """Collections, and the payload index on the author."""
        self._collections = collections
        for name in collections:
            self.points.prepare(name, self.dimension)

    def holds(self, collection: str) -> Mapping[str, State]:
        """By what the points say of themselves."""
        return complete((mark.document, mark.digest, mark.chunks) for mark in self.points.marks(collection))

    def add(self, done: Done) -> None:
        """Nothing: the worker wrote them."""

    def finish(self, ledger: Ledger) -> None:
        """One pass over each collection finds what no document of this run has any more."""
        for name in self._collections:
            stale, foreign = self._stale(name, ledger)
            if stale and not ledger.read[name] and not self.empty_ok:
                raise StartupError(
                    f"{name}: the source has no document any more, the index holds {len(stale)} chunks; if they are to "
                    "go, run it again with --empty-ok"
                )
            self.points.remove(name, stale)
            ledger.removed[name] = len(stale)
            ledger.held[name] = self.points.count(name)
            if foreign:
                raise StartupError(
                    f"collection {name} holds {foreign} points that this job did not write; delete the collection, or "
                    "take another name, and run it again"
                )
            content = {"content": ledger.content(name), "embedding_sha256": self.model_sha256}
            self.points.stamp(name, content | {"ingested": datetime.now(UTC).isoformat(timespec="seconds")})

    def _stale(self, name: str, ledger: Ledger) -> tuple[list[int | str], int]:
        wanted = ledger.wanted.get(name, {})
        stale: list[int | str] = []
        foreign = 0
        for mark in self.points.marks(name):
            if not mark.document:
                foreign += 1
            elif mark.document not in wanted or wanted[mark.document] != State(mark.digest, mark.chunks):
                stale.append(mark.id if isinstance(mark.id, int) else str(mark.id))
        return stale, foreign


@dataclass
class BundleSink:
    """A bundle below `home`, made of what the spool holds at the end."""

    home: Path
    spool: sqlite3.Connection
    recipe: bundle_writer.Recipe
    manifest: Manifest | None = field(default=None)

    @classmethod
    @contextmanager
    def opened(cls, home: Path, recipe: bundle_writer.Recipe) -> Iterator[BundleSink]:
        """The spool is gone after a block that made a bundle, and kept after any other."""
        folder = home / SPOOL
        folder.mkdir(parents=True, exist_ok=True)
        with bundle.locked(folder):
            with closing(_spool(folder / "made.sqlite")) as spool:
                sink = cls(home, spool, recipe)
                with _as_os_error(folder):
                    yield sink
            if sink.manifest is not None:
                shutil.rmtree(folder)

    def prepare(self, collections: Sequence[str]) -> None:
        """Nothing to make."""

    def holds(self, collection: str) -> Mapping[str, State]:
        """What an earlier run left in the spool."""
        query = "SELECT document, digest, chunks FROM made WHERE collection = ?"
        return complete(self.spool.execute(query, (collection,)))

    def add(self, done: Done) -> None:
        """One transaction per unit."""
        if done.vectors is None:
            return
        rows = [
            (
                point.chunk.collection, point.document, point.digest, point.number, point.chunks, point.chunk.id,
                point.chunk.author, point.chunk.title, point.chunk.url, point.chunk.text, vector.tobytes(),
            )
            for point, vector in zip(done.points, np.ascontiguousarray(done.vectors, np.float32), strict=True)
        ]  # fmt: skip
        with self.spool:
            self.spool.executemany(
                "DELETE FROM made WHERE collection = ? AND document = ?",
                [(cut.collection, cut.key) for cut in done.cuts],
            )
            self.spool.executemany("INSERT INTO made VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)

    def finish(self, ledger: Ledger) -> None:
        """Write the bundle from the documents of this run."""
        for name in sorted(ledger.wanted):
            gone = [(name, key) for key in self._documents(name) if key not in ledger.wanted[name]]
            with self.spool:
                self.spool.executemany("DELETE FROM made WHERE collection = ? AND document = ?", gone)
        manifest = bundle_writer.write(self.home, self._pages(sorted(ledger.wanted)), self.recipe)
        with closing(bundle.open_chunks(bundle.resolve(self.home))) as chunks:
            ledger.held.update(dict(chunks.execute("SELECT collection, count(*) FROM chunks GROUP BY collection")))
        self.manifest = manifest

    def _documents(self, collection: str) -> list[str]:
        query = "SELECT DISTINCT document FROM made WHERE collection = ?"
        return [row[0] for row in self.spool.execute(query, (collection,))]

    def _pages(self, collections: Sequence[str]) -> Iterator[tuple[list[Chunk], Vectors]]:
        query = (
            "SELECT id, collection, author, title, url, text, vector FROM made WHERE collection = ? "
            "ORDER BY document, number"
        )
        for name in collections:
            found = self.spool.execute(query, (name,))
            while rows := found.fetchmany(PAGE):
                vectors = np.frombuffer(b"".join(row[6] for row in rows), np.float32).reshape(len(rows), -1)
                yield [Chunk(*row[:6]) for row in rows], vectors


def _spool(path: Path) -> sqlite3.Connection:
    with ExitStack() as stack:
        spool = stack.enter_context(closing(sqlite3.connect(path)))
        try:
            spool.execute("PRAGMA journal_mode=WAL")
            spool.executescript(_SCHEMA)
        except sqlite3.OperationalError as exc:
            raise OSError(f"{path} can't be written: {exc}") from exc
        except sqlite3.DatabaseError as exc:
            raise StartupError(f"{path} is no spool of this job ({exc}); remove it and run it again") from exc
        stack.pop_all()
        return spool


@contextmanager
def _as_os_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as exc:
        raise OSError(f"{folder} can't be written: {exc}") from exc


Opened = AbstractContextManager[QdrantSink] | AbstractContextManager[BundleSink]
