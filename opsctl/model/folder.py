"""A model in a local folder, as `save_pretrained` writes one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from opsctl.errors import NotUsable
from opsctl.model.weights import WeightFile, revision_of

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class FolderWeights:
    """The files of a folder; what begins with a dot is left out."""

    model: str
    revision: str
    files: tuple[WeightFile, ...]
    root: Path

    @classmethod
    def open(cls, model: str, root: Path) -> Self:
        """List and hash the files.

        Raises:
            NotUsable: there is no config.json, so that no engine could load it.
        """
        if not (root / "config.json").is_file():
            raise NotUsable(
                f"{root} holds no config.json", next_step="give the folder that `save_pretrained` wrote with --from"
            )
        paths = (each for each in sorted(root.rglob("*")) if each.is_file())
        named = ((each.relative_to(root), each) for each in paths)
        kept = [(name, path) for name, path in named if not any(part.startswith(".") for part in name.parts)]
        files = tuple(WeightFile(name.as_posix(), path.stat().st_size, _digest(path)) for name, path in kept)
        return cls(model, revision_of(files), files, root)

    def read(self, file: WeightFile, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`."""
        with (self.root / file.path).open("rb") as opened:
            opened.seek(start)
            return opened.read(end - start)


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
