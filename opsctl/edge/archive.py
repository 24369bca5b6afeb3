"""A bundle folder as one file for the bucket, and the pointer that says what is in it."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zstandard

from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("manifest.json", "chunks.sqlite", "index.faiss")
LEVEL = 3  # quantised vectors hardly shrink, however long one tries


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive on this machine.

    Attributes:
        name: of the object: when the bundle was made, and which index it has.
        manifest: the bundle's, as it is.
        unpacked_bytes: of its files.
    """

    path: Path
    name: str
    sha256: str
    size: int
    unpacked_bytes: int
    manifest: dict[str, Any]

    def pointer(self, key: str) -> str:
        """What `latest.json` says; `service.bundle_sync.Pointer` reads it."""
        document = {
            "version": 1,
            "key": key,
            "sha256": self.sha256,
            "bytes": self.size,
            "unpackedBytes": self.unpacked_bytes,
            "manifest": self.manifest,
        }
        return json.dumps(document, indent=2) + "\n"


def pack(folder: Path, target: Path) -> Packed:
    """Write `folder` into `target`; the same bundle gives the same bytes.

    Raises:
        NotUsable: it is no bundle.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        sizes = [(folder / name).stat().st_size for name in FILES]
        digits = "".join(letter for letter in str(manifest["created"]) if letter.isdigit())
        name = f"{digits[:14]}-{manifest['files']['index.faiss'][:12]}.tar.zst"
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise NotUsable(f"{folder} is no bundle: {exc}", next_step="export it again") from exc
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    with (
        target.open("wb") as file,
        compressor.stream_writer(file, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file_name, size in zip(FILES, sizes, strict=True):
            member = tarfile.TarInfo(file_name)
            member.size, member.mode = size, 0o644
            with (folder / file_name).open("rb") as content:
                tar.addfile(member, content)
    with target.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    return Packed(target, name, sha256, target.stat().st_size, sum(sizes), manifest)
