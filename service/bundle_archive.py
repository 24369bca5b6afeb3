"""A bundle as one file, `tar.zst`: unpacked with its three files and nothing else."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from service import bundle
from service.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = frozenset({bundle.MANIFEST, bundle.INDEX, bundle.CHUNKS})
BLOCK_BYTES = 1024 * 1024


def unpack(archive: Path, folder: Path, *, most_bytes: int) -> None:
    """Write the files of `archive` into `folder`.

    Raises:
        StartupError: it is no archive of a bundle, or holds more than `most_bytes`.
        OSError: the disk is full, or the folder can't be written.
    """
    import zstandard  # noqa: PLC0415 - only what moves bundles needs it

    left = most_bytes
    names: set[str] = set()
    try:
        with (
            archive.open("rb") as packed,
            zstandard.ZstdDecompressor().stream_reader(packed) as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            for member in tar:
                content = tar.extractfile(member) if member.isreg() and member.name in NAMES - names else None
                if content is None or member.size > left:
                    raise StartupError(f"{archive.name}: {member.name!r} has no place in a bundle")
                left -= member.size
                names.add(member.name)
                with (folder / member.name).open("wb") as file:
                    while block := content.read(BLOCK_BYTES):
                        file.write(block)
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as exc:
        raise StartupError(f"{archive.name} is no tar.zst of a bundle: {exc}") from exc
    if names != NAMES:
        raise StartupError(f"{archive.name} lacks {', '.join(sorted(NAMES - names))}")
