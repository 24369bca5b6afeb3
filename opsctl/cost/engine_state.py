"""What the engine writes of a stack - a preview or its state - as the resources that are priced."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from infra import offline
from opsctl.cost.mistakes import reasons
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from pathlib import Path

GONE = ("delete", "discard")  # beginnings of the operations after which there is no such resource


class _State(BaseModel):
    """A resource; what pricing has no use for is passed over."""

    urn: str
    type: str
    parent: str = ""
    inputs: dict[str, Any] = {}
    protect: bool = False
    retainOnDelete: bool = False  # noqa: N815 - the engine's name
    dependencies: tuple[str, ...] = ()
    external: bool = False  # read, and another's
    delete: bool = False  # already replaced, and going


class _Step(BaseModel):
    op: str
    newState: _State | None = None  # noqa: N815 - the engine's name


class Preview(BaseModel):
    """What `pulumi preview --json` writes."""

    steps: tuple[_Step, ...]


class _Deployment(BaseModel):
    resources: tuple[_State, ...]


class Export(BaseModel):
    """What `pulumi stack export` writes."""

    deployment: _Deployment


def previewed(file: Path) -> offline.Program:
    """The resources that a stack will have by `pulumi preview --json`, or has by `pulumi stack export`.

    Raises:
        NotUsable: the file is no such document.
    """
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(tree, dict) and "deployment" in tree:
            return _program(Export.model_validate(tree).deployment.resources)
        steps = Preview.model_validate(tree).steps
    except ValidationError as exc:
        raise _no_preview(file, reasons(exc)) from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise _no_preview(file, str(exc)) from exc
    return _program(step.newState for step in steps if step.newState and not step.op.startswith(GONE))


def exported(resources: Iterable[Mapping[str, Any]]) -> offline.Program:
    """The resources of a stack's state."""
    return _program(map(_State.model_validate, resources))


def _program(states: Iterable[_State]) -> offline.Program:
    """Each resource once: a replacement is several steps of one."""
    owned = [each for each in states if not (each.type.startswith("pulumi:pulumi:") or each.external or each.delete)]
    kept = {each.urn: _declared(each) for each in owned}.values()
    return offline.Program(tuple(sorted(kept, key=lambda each: (each.type, each.name))), {})


def _declared(state: _State) -> offline.Declared:
    return offline.Declared(
        type=state.type,
        name=state.urn.rpartition("::")[2],
        urn=state.urn,
        parent=state.parent,
        inputs=state.inputs,
        protect=state.protect,
        retain=state.retainOnDelete,
        ignored=(),
        depends_on=state.dependencies,
        delete_before_replace=False,
    )


def _no_preview(file: Path, why: str) -> NotUsable:
    return NotUsable(f"--preview {file}: {why}", next_step="write one with `pulumi preview --json > preview.json`")
