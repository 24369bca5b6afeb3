"""From Qdrant, or a bundle on this machine, to the newest bundle of a stack's bucket.

The archive is there before the pointer names it, and the pointer is written only on top of the one that was read: an
edge that looks meanwhile sees the old bundle or the new one.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from opsctl.edge.archive import Packed, pack
from opsctl.endpoint.ports import Conflict
from opsctl.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.endpoint.ports import Stored


class Pointer(Protocol):
    """`latest.json` of a bucket."""

    def read(self) -> Stored | None:
        """The version that is there."""

    def write(self, text: str, on: str | None) -> str:
        """Write on top of it; `Conflict` where somebody else was quicker."""


class Bucket(Protocol):
    """Where bundles go."""

    @property
    def name(self) -> str:
        """Of the bucket."""

    @property
    def prefix(self) -> str:
        """Of every key."""

    @property
    def latest(self) -> Pointer:
        """Which is the newest."""

    def holds(self, key: str, size: int, sha256: str) -> bool:
        """Whether the archive is there, whole."""

    def upload(self, key: str, archive: Path, sha256: str) -> None:
        """Write an archive."""

    def archives(self) -> list[str]:
        """Keys of all archives, oldest first."""

    def remove(self, key: str) -> None:
        """Delete one; its version can be had again for a while."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What is the newest now; `removed` are the keys that were too many."""

    packed: Packed
    uri: str
    sent: bool
    removed: tuple[str, ...]


def publish(folder: Path, bucket: Bucket, *, keep: int, tell: Callable[[str], None]) -> Exported:
    """Make the bundle in `folder` the newest of the bucket.

    Raises:
        NotUsable: it is no bundle.
        CloudRefused, TimedOut
    """
    with tempfile.TemporaryDirectory(prefix="rag-export-") as scratch:
        tell("packing ...")
        packed = pack(folder, Path(scratch, "bundle.tar.zst"))
        key = f"{bucket.prefix}{packed.name}"
        before = bucket.latest.read()
        sent = not bucket.holds(key, packed.size, packed.sha256)
        if sent:
            tell(f"sending {packed.size / 1e6:,.1f} MB to s3://{bucket.name}/{key} ...")
            bucket.upload(key, packed.path, packed.sha256)
        text = packed.pointer(key)
        if before is None or before.text != text:
            _point(bucket, text, before)
    removed = tuple(name for name in bucket.archives()[:-keep] if name != key)
    for name in removed:
        bucket.remove(name)
    return Exported(packed, f"s3://{bucket.name}/{key}", sent, removed)


def _point(bucket: Bucket, text: str, before: Stored | None) -> None:
    try:
        bucket.latest.write(text, before.version if before else None)
    except Conflict as exc:
        raise CloudRefused(
            f"another export of s3://{bucket.name} ended meanwhile, its bundle is the newest",
            next_step="run it again if yours shall be",
        ) from exc
