"""Copies of models in a stack's bucket: where they are, and the manifest that says that one is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from opsctl.model.weights import Weights


class CopiedFile(BaseModel):
    """A file of a copy."""

    model_config = ConfigDict(frozen=True)

    path: str
    size: int
    sha256: str


class Copy(BaseModel):
    """The manifest of a whole copy.

    Attributes:
        prefix: where its files are in the bucket; ends with a slash.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    model: str
    revision: str
    prefix: str
    files: tuple[CopiedFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)


class Reader(Protocol):
    """What reading a copy asks of a bucket."""

    def read(self, key: str) -> bytes | None:
        """The content of an object; None where there is none."""
        ...


def copy_of(weights: Weights) -> Copy:
    """The manifest that a whole copy of `weights` has."""
    files = tuple(CopiedFile(path=each.path, size=each.size, sha256=each.sha256) for each in weights.files)
    prefix = f"models/{weights.model}/{weights.revision}/"
    return Copy(model=weights.model, revision=weights.revision, prefix=prefix, files=files)


def manifest_key(model: str) -> str:
    """The newest whole copy of `model`; beside its files, since SageMaker hands the container all of those."""
    return f"models/{model}/latest.json"


def newest_copy(bucket: Reader, model: str) -> Copy | None:
    """The newest whole copy of `model` in the bucket; None where there is none.

    Raises:
        NotUsable: its manifest is damaged.
    """
    found = bucket.read(manifest_key(model))
    if found is None:
        return None
    try:
        return Copy.model_validate_json(found)
    except ValidationError as exc:
        raise NotUsable(
            f"{manifest_key(model)} in the bucket is no manifest of a copy",
            next_step=f"write it anew: `opsctl model upload {model}`",
        ) from exc
