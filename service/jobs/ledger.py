"""What a run read, dropped and expects the index to hold: the counts that must add up. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.jobs.cleaning import Dropped
    from service.jobs.corpus import Document


@dataclass(frozen=True, slots=True)
class State:
    """A document's state and how many chunks it is cut into."""

    digest: str
    chunks: int


@dataclass
class Ledger:
    """Counts by collection; `wanted` is filled in as documents are found unchanged or written."""

    read: Counter[str] = field(default_factory=Counter)
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    wanted: dict[str, dict[str, State]] = field(default_factory=dict)
    _texts: set[bytes] = field(default_factory=set)
    _keys: set[bytes] = field(default_factory=set)

    def drop(self, dropped: Dropped) -> None:
        """Count a document that was read and won't be indexed."""
        self.read[dropped.collection] += 1
        self.dropped[dropped.collection, dropped.reason] += 1

    def take(self, document: Document) -> Document | None:
        """Count a document that was read; None for a copy of another, which is dropped.

        One that differs from another with the same key gets a key of its own.
        """
        self.read[document.collection] += 1
        same = _hash(document.collection, document.author_id, document.title, document.text)
        if same in self._texts:
            self.dropped[document.collection, "copy of another"] += 1
            return None
        self._texts.add(same)
        key = _hash(document.collection, document.key)
        if key in self._keys:
            document = replace(document, id=f"{document.key}\0{same.hex()}")
        self._keys.add(key)
        return document

    def keep(self, document: Document, state: State) -> None:
        """Note a document that the index holds already."""
        self.unchanged[document.collection] += state.chunks
        self._want(document.collection, document.key, state)

    def write(self, collection: str, key: str, state: State) -> None:
        """Note a document that was cut and written; one without a chunk is dropped."""
        if not state.chunks:
            self.dropped[collection, "too short"] += 1
            return
        self.written[collection] += state.chunks
        self._want(collection, key, state)

    def expected(self, collection: str) -> int:
        """Chunks that the index must hold."""
        return sum(state.chunks for state in self.wanted.get(collection, {}).values())

    def content(self, collection: str) -> str:
        """Digest of all that the collection must hold."""
        lines = sorted(f"{key}\0{state.digest}" for key, state in self.wanted.get(collection, {}).items())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def report(self) -> dict[str, dict[str, object]]:
        """By collection, in words that are a public contract."""
        return {name: self._of(name) for name in sorted({*self.read, *self.held, *self.wanted})}

    def wrong(self) -> list[str]:
        """Sentences about counts that don't add up."""
        said = []
        for name in sorted({*self.read, *self.held, *self.wanted}):
            documents = len(self.wanted.get(name, {})) + sum(self._dropped(name).values())
            if documents != self.read[name]:
                said.append(f"{name}: {self.read[name]} documents were read, {documents} are accounted for")
            if self.held[name] != self.expected(name):
                said.append(f"{name}: the index holds {self.held[name]} chunks, {self.expected(name)} are expected")
        return said

    def _want(self, collection: str, key: str, state: State) -> None:
        self.wanted.setdefault(collection, {})[key] = state

    def _dropped(self, collection: str) -> Mapping[str, int]:
        return {reason: count for (name, reason), count in sorted(self.dropped.items()) if name == collection}

    def _of(self, name: str) -> dict[str, object]:
        return {
            "read": self.read[name],
            "dropped": self._dropped(name),
            "documents": len(self.wanted.get(name, {})),
            "chunks": self.expected(name),
            "unchanged": self.unchanged[name],
            "written": self.written[name],
            "removed": self.removed[name],
            "held": self.held[name],
        }


def complete(marks: Iterable[tuple[str, str, int]]) -> dict[str, State]:
    """Documents of which the index holds every chunk in one state; `marks` are (document, digest, chunks) per chunk."""
    found: dict[str, Counter[tuple[str, int]]] = {}
    for document, digest, chunks in marks:
        if document:
            found.setdefault(document, Counter())[digest, chunks] += 1
    states = {}
    for document, counted in found.items():
        for (digest, chunks), count in counted.items():
            if count == chunks:
                states[document] = State(digest, chunks)
    return states


def _hash(*parts: str) -> bytes:
    """Short enough to keep one for each of millions of documents."""
    return hashlib.sha256("\0".join(parts).encode()).digest()[:12]
