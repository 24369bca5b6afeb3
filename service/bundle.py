"""The edge bundle on disk: a manifest, a vector index and the chunks' texts, written whole or not at all.

A bundle folder holds `manifest.json`, `index.faiss` and `chunks.sqlite`. A bundle *home* holds one folder per bundle
and the symbolic link `current`, which is replaced atomically: a reader during an export sees the old or the new one.
This module knows files and checksums; what is inside the index is the adapter's business.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from service.errors import StartupError

FORMAT_VERSION = 1
MANIFEST, INDEX, CHUNKS = "manifest.json", "index.faiss", "chunks.sqlite"
CURRENT = "current"
_STAGING = ".new-"
KEEP = 2  # bundles per home: the current one and the one before, for a rollback

IndexType = Literal["sq8", "flat", "ivf-sq8", "hnsw"]

_SCHEMA = """
CREATE TABLE chunks (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL, collection TEXT NOT NULL, author TEXT NOT NULL,
    title TEXT NOT NULL, url TEXT NOT NULL, text TEXT NOT NULL,
    author_key TEXT NOT NULL, -- casefolded: SQLite's own NOCASE knows only ASCII
    UNIQUE (collection, id)
);
CREATE INDEX chunks_author ON chunks (author_key);
CREATE INDEX chunks_collection ON chunks (collection, position);
"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of one document, as it is embedded, found and cited."""

    id: str
    collection: str
    author: str
    title: str
    url: str
    text: str


class Manifest(BaseModel):
    """What a bundle claims to be; checked against its files before use."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    embedding_model: str
    embedding_sha256: str
    dimension: int = Field(gt=0)
    metric: Literal["cosine"] = "cosine"
    count: int = Field(gt=0)
    index_type: IndexType
    recall_at_10: float = Field(ge=0, le=1, description="of this index against exact search on its own vectors")
    files: dict[str, str] = Field(description="sha256 of each file")
    created: datetime
    source: str


def resolve(home: Path) -> Path:
    """The bundle folder that is current: `home/current`, or `home` itself where it is a plain bundle folder."""
    current = home / CURRENT
    return current.resolve() if current.is_symlink() else home


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.json`.

    Raises:
        StartupError: absent, not JSON, or another format.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise StartupError(f"no bundle at {folder}: {exc.strerror or exc}; build one: {BUILD_COMMAND}") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "content"
        raise StartupError(f"{path}: {where}: {first['msg']}; build the bundle again: {BUILD_COMMAND}") from exc


BUILD_COMMAND = "python -m service.jobs.ingest --out DIR"


def verify(folder: Path) -> Manifest:
    """Check every file of the bundle against its manifest.

    Raises:
        StartupError: one line that names the file and what is wrong with it.
    """
    manifest = read_manifest(folder)
    if manifest.format_version != FORMAT_VERSION:
        raise StartupError(
            f"{folder / MANIFEST}: format version {manifest.format_version}, this release reads {FORMAT_VERSION}; "
            f"build the bundle again: {BUILD_COMMAND}"
        )
    for name in (INDEX, CHUNKS):
        path = folder / name
        try:
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as exc:
            raise StartupError(f"{path}: {exc.strerror}; build the bundle again: {BUILD_COMMAND}") from exc
        if actual != manifest.files.get(name):
            raise StartupError(
                f"{path} is corrupt: sha256 {actual[:12]}..., manifest says {str(manifest.files.get(name))[:12]}...; "
                f"build the bundle again: {BUILD_COMMAND}"
            )
    return manifest


def write_chunks(path: Path, chunks: Iterable[Chunk]) -> int:
    """Write the texts; a chunk's position is its row in the index. Returns the count.

    Raises:
        OSError: the disk is full, or the folder can't be written.
    """
    rows = ((position, *astuple(chunk), author_key(chunk.author)) for position, chunk in enumerate(chunks))
    try:
        with closing(sqlite3.connect(path)) as db, db:
            db.executescript(_SCHEMA)
            db.executemany("INSERT INTO chunks VALUES (?,?,?,?,?,?,?,?)", rows)
            count: int = db.execute("SELECT count(*) FROM chunks").fetchone()[0]
    except sqlite3.OperationalError as exc:
        raise OSError(f"{path.name} can't be written: {exc}") from exc
    return count


def author_key(name: str) -> str:
    """What two spellings of one author's name have in common."""
    return " ".join(name.casefold().split())


def open_chunks(folder: Path) -> sqlite3.Connection:
    """Read-only connection, usable from any thread (the file never changes under its name)."""
    path = folder / CHUNKS
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


@contextmanager
def replacing(home: Path) -> Iterator[Path]:
    """A new folder to fill; on success it becomes `home/current`, on any error it is gone and the old one stays.

    Raises:
        StartupError: another process is building there.
    """
    home.mkdir(parents=True, exist_ok=True)
    with locked(home):
        for left in home.glob(f"{_STAGING}*"):  # of a process that was killed: nobody else holds the lock
            shutil.rmtree(left, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=home))
        try:
            yield staging
            _switch(home, staging)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the folder `home` for this process, which ends the hold even when it is killed.

    Raises:
        StartupError: another process holds it.
    """
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise StartupError(f"{home}: another process builds a bundle there; wait until it has ended") from exc
        yield
    finally:
        os.close(folder)


def _switch(home: Path, staging: Path) -> None:
    digest = json.loads((staging / MANIFEST).read_text())["files"][INDEX][:12]
    final = home / f"{datetime.now().astimezone():%Y%m%dT%H%M%S%f}-{digest}"
    staging.chmod(0o755)
    staging.rename(final)
    link = home / f".{CURRENT}-{final.name}"
    link.symlink_to(final.name)
    os.replace(link, home / CURRENT)  # noqa: PTH105 - Path.replace would do; os.replace names the guarantee
    _drop_old(home)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Written last: a folder without it is no bundle."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(by_alias=True, indent=2) + "\n")


def checksums(folder: Path) -> dict[str, str]:
    """sha256 of the index and the chunks."""
    digests = {}
    for name in (INDEX, CHUNKS):
        with (folder / name).open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _drop_old(home: Path) -> None:
    bundles = sorted(
        path for path in home.iterdir() if path.is_dir() and not path.name.startswith(".") and not path.is_symlink()
    )
    for path in bundles[:-KEEP]:
        shutil.rmtree(path, ignore_errors=True)
