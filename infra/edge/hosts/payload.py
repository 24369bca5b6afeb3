"""What an edge host gets besides packages: the code, the bundle, and a model that is a file. Names follow content."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.edge.errors import EdgeError

CODE = ("service", "infra/edge")
SINGLE = ("infra/__init__.py", "infra/errors.py")
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Code:
    """The part of the checkout that runs on a host."""

    root: Path

    @property
    def name(self) -> str:
        """Of the folder that it becomes."""
        total = hashlib.sha256()
        for file in self._files():
            total.update(f"{file.relative_to(self.root)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        return f"app-{total.hexdigest()[:12]}"

    def pack(self, target: Path) -> None:
        """Write it as an archive."""
        with tarfile.open(target, "w") as archive:
            for file in self._files():
                content = file.read_bytes()
                entry = tarfile.TarInfo(str(file.relative_to(self.root)))
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))

    def _files(self) -> Iterator[Path]:
        yield from (path for name in SINGLE if (path := self.root / name).is_file())
        for folder in CODE:
            for path in sorted((self.root / folder).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path


def bundle_folder(path: Path) -> Path:
    """Where the files are: `path/current` of a bundle home, or `path` itself."""
    current = path / "current"
    return current.resolve() if current.is_symlink() else path


def bundle_name(folder: Path) -> str | None:
    """What a bundle is called on a host: when it was made, and of what; None where there is none."""
    try:
        manifest = json.loads((bundle_folder(folder) / MANIFEST).read_bytes())
        files, created = manifest["files"], str(manifest.get("created", ""))
    except (OSError, ValueError, KeyError):
        return None
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]
    stamp = re.sub(r"[^0-9T]", "", created.partition("+")[0])
    return f"{stamp}-{digest}" if stamp else digest


def model_stamp(root: Path, model: str) -> str | None:
    """Identity of a model that is a file on this machine; None where it is a name that the host knows itself.

    Raises:
        EdgeError: it looks like a file, and is none.
    """
    path = root / Path(model).expanduser()
    if path.is_file():
        found = path.stat()
        return f"{path.name} {found.st_size} {found.st_mtime_ns}"
    if model.endswith(".gguf"):
        raise EdgeError(
            f"generation.model: there is no file {model}; `pulumi config set --path hybrid.edge.model PATH`"
        )
    return None
