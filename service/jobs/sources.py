"""Where an ingestion reads from: a folder, the demo corpus or MongoDB. Each yields documents and refusals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from service.errors import StartupError
from service.jobs import corpus
from service.jobs.cleaning import Dropped, clean
from service.jobs.corpus import Document

if TYPE_CHECKING:
    from service.adapters.mongo_corpus import MongoCorpus

DEMO_CHUNKS = 24  # per document: the head of a README says what the thing is


class Source(Protocol):
    """Documents in a stable order."""

    @property
    def name(self) -> str:
        """As the report and the manifest call it; no secret."""
        ...

    @property
    def collections(self) -> Sequence[str]:
        """What its documents may belong to; known once `total` was asked."""
        ...

    @property
    def most_chunks(self) -> int | None:
        """Of one document; None for no limit."""
        ...

    def total(self) -> int:
        """Documents to read; found out before the first is embedded, so that a bad one is told early.

        Raises:
            RagError: the source can't be read, or holds nothing.
        """
        ...

    def read(self) -> Iterator[Document | Dropped]:
        """All of them."""
        ...

    def missed(self) -> list[str]:
        """Sentences about what was in the source all the time and was not read."""
        ...


@dataclass
class Demo:
    """The demo corpus."""

    name: str = "demo"
    collections: Sequence[str] = corpus.COLLECTIONS
    most_chunks: int | None = DEMO_CHUNKS

    def total(self) -> int:
        """Documents of this installation."""
        return len(corpus.demo())

    def read(self) -> Iterator[Document | Dropped]:
        """In the order of collection and title."""
        return iter(corpus.demo())

    def missed(self) -> list[str]:
        """Nothing."""
        return []


@dataclass
class Folder:
    """Files below `path`, one in memory at a time."""

    path: Path
    collections: Sequence[str] = ()
    most_chunks: int | None = None

    @property
    def name(self) -> str:
        """Its own name: a bundle travels, and where the folder was on some machine is nobody's business elsewhere."""
        return f"folder:{self.path.resolve().name}"

    def total(self) -> int:
        """Every file is read once before the first is embedded: a bad one ends the run at once, not after an hour."""
        found, usable, names = 0, 0, set()
        for document in corpus.documents(self.path):
            found += 1
            usable += bool(document.text.strip())
            names.add(document.collection)
        if not usable:
            raise StartupError(f"{self.path}: no text in any {', '.join(sorted(corpus.READERS))} file below it")
        self.collections = sorted(names)
        return found

    def read(self) -> Iterator[Document | Dropped]:
        """File by file."""
        for document in corpus.documents(self.path):
            yield document if document.text.strip() else Dropped(document.collection, document.key, "no text")

    def missed(self) -> list[str]:
        """Nothing."""
        return []


@dataclass
class Mongo:
    """`collections` of one MongoDB database, with the names of the users who wrote the documents."""

    mongo: MongoCorpus
    collections: Sequence[str]
    most_chunks: int | None = None
    _before: dict[str, int] = field(default_factory=dict)
    _read: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The address is a secret; the database's name is none."""
        return f"mongodb:{self.mongo.database}"

    def total(self) -> int:
        """What the collections hold now."""
        self._before = {name: self.mongo.count(name) for name in self.collections}
        if not any(self._before.values()):
            raise StartupError(
                f"MongoDB's database {self.mongo.database} has no document in {', '.join(self.collections)}; correct "
                "DATABASE_NAME or RAG_COLLECTIONS"
            )
        return sum(self._before.values())

    def read(self) -> Iterator[Document | Dropped]:
        """Collection by collection."""
        authors = self.mongo.names()
        for name in self.collections:
            self._read[name] = 0
            for raw in self.mongo.documents(name):
                self._read[name] += 1
                yield clean(name, raw, authors)

    def missed(self) -> list[str]:
        """A collection that grew or shrank meanwhile is no mistake; one that stood still and was read in part is."""
        return [
            f"{name}: {self._read.get(name, 0)} of {before} documents were read"
            for name, before in self._before.items()
            if self._read.get(name, 0) != before and self.mongo.count(name) == before
        ]
