"""Bring the newest bundle of a store to this host: resumed where it was cut, checked, then made current at once.

What serves is touched only by the last step, a link. Offline is no error of the edge: it serves what it has.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from service import bundle, bundle_home
from service.bundle import Manifest
from service.bundle_archive import unpack
from service.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path

HELD, LOCK, DOWNLOADS = ".held", ".sync.lock", ".download"
ROOM = 1.05  # a file system needs some of its own

State = Literal["nothing there", "current", "held back", "switched"]


class Pointer(BaseModel):
    """`latest.json`: which archive is the newest, and what is in it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    version: Literal[1] = 1
    key: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the archive")
    bytes: int = Field(gt=0)
    unpacked_bytes: int = Field(gt=0)
    manifest: Manifest


class Store(Protocol):
    """Where bundles are kept; every call blocks and raises OSError where there is no answer."""

    def latest(self) -> Pointer | None:
        """The newest; None where none was ever exported."""
        ...

    def read(self, key: str, offset: int) -> Iterator[bytes]:
        """The bytes of an archive from `offset` on."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a look at the store came to; `name` is the folder that is current after it."""

    state: State
    name: str


def hold(home: Path, files: dict[str, str]) -> None:
    """Before going back: don't take the bundle of these files again by itself."""
    (home / HELD).write_text(files[bundle.INDEX])


def sync(home: Path, store: Store, *, model_sha256: str, min_recall: float = 0.0, again: bool = False) -> Outcome:
    """Make the store's newest bundle current in `home`, if it isn't; `again` takes one that was gone back from.

    Raises:
        OSError: no answer, no room, or it arrived damaged; what is current stays. The next call goes on.
        StartupError: the bundle isn't one that this host can serve.
    """
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home):
        latest = store.latest()
        current = bundle.resolve(home)
        if latest is None:
            return Outcome("nothing there", current.name)
        wanted = latest.manifest.files
        if _files(current) == wanted:
            return Outcome("current", current.name)
        if not again and _held(home) == wanted[bundle.INDEX]:
            return Outcome("held back", current.name)
        _require(latest, model_sha256, min_recall)
        for folder in bundle_home.kept(home):
            if _files(folder) == wanted and _sound(folder):
                bundle_home.point(home, folder)
                break
        else:
            _fetch(home, store, latest)
        (home / HELD).unlink(missing_ok=True)
        return Outcome("switched", bundle.resolve(home).name)


def _fetch(home: Path, store: Store, latest: Pointer) -> None:
    archive = _downloaded(home, store, latest)
    try:
        with bundle.replacing(home) as staging:
            unpack(archive, staging, most_bytes=latest.unpacked_bytes)
            if bundle.verify(staging).files != latest.manifest.files:
                raise StartupError(f"{latest.key} holds another bundle than {latest.manifest.created:%Y-%m-%d} says")
    finally:
        shutil.rmtree(home / DOWNLOADS, ignore_errors=True)


def _downloaded(home: Path, store: Store, latest: Pointer) -> Path:
    folder = home / DOWNLOADS
    part = folder / f"{latest.sha256}.part"
    folder.mkdir(exist_ok=True)
    for other in folder.iterdir():
        if other != part:  # of a bundle that isn't the newest any more
            other.unlink()
    there = part.stat().st_size if part.exists() else 0
    _require_room(home, latest.bytes - there + latest.unpacked_bytes)
    try:
        with part.open("ab") as file:
            if there < latest.bytes:
                for block in store.read(latest.key, there):
                    file.write(block)
    except OSError as exc:
        if exc.errno == errno.ENOSPC:  # what would never fit is given back
            part.unlink()
        raise
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != latest.sha256:
        part.unlink()
        raise OSError(f"{latest.key} arrived damaged and was removed; the next look fetches it anew")
    return part


def _require(latest: Pointer, model_sha256: str, min_recall: float) -> None:
    manifest = latest.manifest
    if manifest.format_version != bundle.FORMAT_VERSION:
        raise StartupError(
            f"{latest.key}: format {manifest.format_version}, this release reads {bundle.FORMAT_VERSION}"
        )
    if manifest.embedding_sha256 != model_sha256:
        raise StartupError(f"{latest.key}: made by another embedding model; export it with this release")
    if manifest.recall_at_10 < min_recall:
        raise StartupError(f"{latest.key}: recall@10 {manifest.recall_at_10:.4f} is below {min_recall:g}")


def _require_room(home: Path, needed: int) -> None:
    free = shutil.disk_usage(home).free
    if free < needed * ROOM:
        raise OSError(errno.ENOSPC, f"{home}: {needed * ROOM / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")


def _files(folder: Path) -> dict[str, str] | None:
    try:
        return bundle.read_manifest(folder).files
    except StartupError:
        return None


def _sound(folder: Path) -> bool:
    try:
        bundle.verify(folder)
    except StartupError:
        return False
    return True


def _held(home: Path) -> str | None:
    try:
        return (home / HELD).read_text()
    except OSError:
        return None


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One at a time, a person's and the host's own; a killed one lets go."""
    with (home / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise OSError(errno.EAGAIN, "another look at the store is on its way; wait for it") from exc
        yield
