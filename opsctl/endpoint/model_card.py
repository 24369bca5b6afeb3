"""What is known of a model before it is served: where its weights are, and what it is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from opsctl.endpoint.architecture import architecture
from opsctl.errors import OpsctlError
from opsctl.model.copies import newest_copy

if TYPE_CHECKING:
    from opsctl.endpoint.architecture import Architecture
    from opsctl.model.copies import Copy, Reader
    from opsctl.settings import Hub


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model.

    Attributes:
        source: where its config.json was read.
        architecture: None where it could not be read.
        copy: its newest whole copy in the stack's bucket.
        problem: why the config could not be read; None where it was.
    """

    model: str
    source: str
    architecture: Architecture | None = None
    copy: Copy | None = None
    problem: OpsctlError | None = None


def read_model_card(model: str, bucket: Reader, hub: Hub) -> ModelCard:
    """What the copy in the bucket says; without one, the table beside this file; without a row, the hub.

    Raises:
        CloudRefused, TimedOut: the bucket can't be read.
    """
    copy = newest_copy(bucket, model)
    if copy is not None:
        return _read(
            model, f"the copy {copy.revision[:12]} in the bucket", copy, bucket.read(f"{copy.prefix}config.json")
        )
    table = YAML(typ="safe", pure=True).load((files("opsctl.endpoint") / "models.yaml").read_text(encoding="utf-8"))
    row = table["models"].get(model)
    if row is not None:
        return ModelCard(model, f"the table of {table['as_of']}", architecture(model, row))
    from opsctl.model.hub import read_small  # noqa: PLC0415 - the hub's client is heavy, and most runs do without

    try:
        return _read(model, hub.url, None, read_small(model, "config.json", hub))
    except OpsctlError as exc:
        return ModelCard(model, hub.url, problem=exc)


def _read(model: str, source: str, copy: Copy | None, content: bytes | None) -> ModelCard:
    try:
        found = architecture(model, json.loads(content or b"{}"))
    except OpsctlError as exc:
        return ModelCard(model, source, copy=copy, problem=exc)
    return ModelCard(model, source, found, copy)
