"""Where backups go: a folder of this machine, or a prefix of a bucket; and the list of what one of them holds."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ValidationError

from service.errors import StartupError

LIST = "manifest.json"
BLOCK_BYTES = 1024 * 1024
GZIP = 31  # zlib's word for a stream with gzip's head


class Folder(Protocol):
    """Files by name; writing and reading go in blocks."""

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write a file.

        Raises:
            OSError: it can't be written.
        """
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """Its blocks.

        Raises:
            OSError: it can't be read.
        """
        ...


class Entry(BaseModel):
    """One file of a backup."""

    name: str
    sha256: str
    count: int | None = None


class Contents(BaseModel):
    """What a backup holds; written last, so that one without it is none."""

    version: int = 1
    store: str
    source: str
    created: str
    files: list[Entry]


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        """See `Folder`; a file is there whole or not at all."""
        place = self._folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_name(f".{place.name}.part")
        with unfinished.open("wb") as file:
            file.writelines(blocks)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(place)

    def read(self, name: str) -> Iterator[bytes]:
        """See `Folder`."""
        with (self._folder / name).open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block


def opened(place: str) -> Folder:
    """`s3://bucket/prefix`, or a path.

    Raises:
        StartupError: no bucket is named.
    """
    if not place.startswith("s3://"):
        return LocalFolder(Path(place))
    from service.adapters.backup_bucket import BackupBucket  # noqa: PLC0415 - boto3 loads when it is asked for

    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    if not bucket:
        raise StartupError(f"{place} names no bucket; give s3://<bucket>/<prefix>")
    return BackupBucket(bucket, f"{prefix.rstrip('/')}/" if prefix.strip("/") else "")


@dataclass
class Digest:
    """Blocks on their way, and what they were in the end."""

    blocks: Iterable[bytes]
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def __iter__(self) -> Iterator[bytes]:
        for block in self.blocks:
            self._hash.update(block)
            yield block

    @property
    def sha256(self) -> str:
        """Of what went by so far."""
        return self._hash.hexdigest()


def checked(folder: Folder, entry: Entry) -> Iterator[bytes]:
    """A file's blocks; after the last one it is known to be what was written.

    Raises:
        StartupError: it isn't.
        OSError: it can't be read.
    """
    digest = Digest(folder.read(entry.name))
    yield from digest
    if digest.sha256 != entry.sha256:
        raise StartupError(f"{entry.name} is not what was written (sha256 differs); take another backup")


def contents(folder: Folder, place: str) -> Contents:
    """What the backup at `place` holds.

    Raises:
        StartupError: there is none, or it was never finished.
    """
    try:
        return Contents.model_validate_json(b"".join(folder.read(LIST)))
    except (OSError, ValidationError) as exc:
        raise StartupError(f"no finished backup at {place} ({LIST}: {exc.__class__.__name__})") from exc


def packed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Compressed as gzip does it, the same for the same content."""
    press = zlib.compressobj(wbits=GZIP)
    for block in blocks:
        if out := press.compress(block):
            yield out
    yield press.flush()


def unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The other way.

    Raises:
        ValueError: no gzip, or it is cut off.
    """
    press = zlib.decompressobj(wbits=GZIP)
    try:
        for block in blocks:
            if out := press.decompress(block):
                yield out
        yield press.flush()
    except zlib.error as exc:
        raise ValueError("no gzip") from exc
    if not press.eof:
        raise ValueError("the file is cut off")
