"""A model as files: names, sizes, checksums, and their bytes by range. Where they are is up to the adapters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file, by its path inside the model."""

    path: str
    size: int
    sha256: str


class Weights(Protocol):
    """A model that can be copied.

    Attributes:
        model: the name that `generation.model` calls it by.
        revision: changes whenever a file does.
    """

    @property
    def model(self) -> str: ...  # noqa: D102

    @property
    def revision(self) -> str: ...  # noqa: D102

    @property
    def files(self) -> tuple[WeightFile, ...]: ...  # noqa: D102

    def read(self, file: WeightFile, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`."""
        ...


def revision_of(files: Iterable[WeightFile]) -> str:
    """A revision for files that have none: the same content is the same revision."""
    lines = "".join(f"{each.sha256}  {each.path}\n" for each in sorted(files, key=lambda file: file.path))
    return hashlib.sha256(lines.encode()).hexdigest()[:40]
