"""What is known of a model before it is served: where its weights are, what it is made of, how it is spoken to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from opsctl.endpoint.architecture import architecture
from opsctl.errors import NotUsable, OpsctlError
from opsctl.model.copies import newest_copy

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.endpoint.architecture import Architecture
    from opsctl.model.copies import Copy, Reader
    from opsctl.settings import Hub

CONFIG, TOKENIZER, TEMPLATE = "config.json", "tokenizer_config.json", "chat_template.jinja"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model.

    Attributes:
        source: where this is known from.
        architecture: None where its config.json could not be read.
        has_template: whether it brings a chat template; None where that isn't known.
        copy: its newest whole copy in the stack's bucket.
        problem: why the config could not be read; None where it was.
    """

    model: str
    source: str
    architecture: Architecture | None = None
    has_template: bool | None = None
    copy: Copy | None = None
    problem: OpsctlError | None = None


def read_model_card(model: str, bucket: Reader, hub: Hub) -> ModelCard:
    """What is known in the bucket or the table, else what the hub says.

    Raises:
        CloudRefused, TimedOut: the bucket can't be read.
    """
    return known_card(model, bucket) or _of_hub(model, hub)


def known_card(model: str, bucket: Reader) -> ModelCard | None:
    """What the copy in the bucket says; without one, the table beside this file; None without a row.

    Raises:
        CloudRefused, TimedOut: the bucket can't be read.
    """
    copy = newest_copy(bucket, model)
    if copy is not None:
        source = f"the copy {copy.revision[:12]} in the bucket"
        return _read(model, source, lambda name: bucket.read(f"{copy.prefix}{name}"), copy)
    table = YAML(typ="safe", pure=True).load((files("opsctl.endpoint") / "models.yaml").read_text(encoding="utf-8"))
    row = table["models"].get(model)
    if row is None:
        return None
    return ModelCard(model, f"the table of {table['as_of']}", architecture(model, row["config"]), row["chat_template"])


def _of_hub(model: str, hub: Hub) -> ModelCard:
    if model.startswith("s3://"):
        unread = NotUsable("weights that opsctl didn't copy aren't looked into", next_step="leave room on the GPU")
        return ModelCard(model, model, problem=unread)
    from opsctl.model.hub import read_small  # noqa: PLC0415 - the hub's client is heavy, and most runs do without

    def read(name: str) -> bytes | None:
        try:
            return read_small(model, name, hub)
        except NotUsable:
            if name == CONFIG:
                raise  # a model without it can't be served; the others may be absent
            return None

    return _read(model, hub.url, read)


def _read(model: str, source: str, read: Callable[[str], bytes | None], copy: Copy | None = None) -> ModelCard:
    try:
        found = architecture(model, _document(read(CONFIG)))
        has_template = "chat_template" in _document(read(TOKENIZER)) or read(TEMPLATE) is not None
    except OpsctlError as exc:
        return ModelCard(model, source, copy=copy, problem=exc)
    return ModelCard(model, source, found, has_template, copy)


def _document(content: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:  # not JSON: what it should have said is missing, which is told by name
        return {}
    return found if isinstance(found, dict) else {}
