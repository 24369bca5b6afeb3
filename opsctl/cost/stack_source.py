"""Where the resources come from: the infra program run in process for a stack file, or a preview that Pulumi wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from infra import offline
from infra.config import PROJECT, parse
from infra.config.phases import with_second_phase
from infra.errors import ConfigErrors
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from pathlib import Path

    from infra.config import StackConfig


def stack_tree(file: Path) -> dict[str, Any]:
    """The config of a stack file by bare key; what only the second phase adds is filled in, to price a workload.

    Raises:
        NotUsable: the file can't be read.
    """
    try:
        tree = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise NotUsable(f"{file}: {' '.join(str(exc).split())}", next_step="give a readable stack file") from exc
    whole = with_second_phase(tree.get("config") if isinstance(tree, dict) else None)
    if not isinstance(whole, dict):
        raise NotUsable(f"{file}: has no `config:` with keys below it", next_step="give a stack file")
    return {str(key).removeprefix(f"{PROJECT}:"): value for key, value in whole.items()}


def changed(tree: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`changes` over `tree`, section by section."""
    both = dict(tree)
    for key, value in changes.items():
        old = both.get(key)
        both[key] = changed(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return both


def stack_config(tree: Mapping[str, Any], *, stack: str) -> StackConfig:
    """The config, held to its rules.

    Raises:
        NotUsable: it has mistakes.
    """
    try:
        return parse(tree, stack=stack)
    except ConfigErrors as exc:
        wrong = "; ".join(str(mistake) for mistake in exc.mistakes)
        raise NotUsable(f"stack {stack}: {wrong}", next_step="mend the stack file") from exc


def previewed(file: Path) -> offline.Program:
    """The resources that a stack will have by `pulumi preview --json`, or has by `pulumi stack export`.

    Raises:
        NotUsable: the file is no such document.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if "deployment" in document:
            return exported(document["deployment"]["resources"])
        steps = document["steps"]
        return exported(step["newState"] for step in steps if "newState" in step and step["op"] != "delete")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise NotUsable(
            f"--preview {file}: {exc}", next_step="write one with `pulumi preview --json > preview.json`"
        ) from exc


def exported(resources: Iterable[Mapping[str, Any]]) -> offline.Program:
    """The resources of a stack's state."""
    kept = [_declared(each) for each in resources if not each["type"].startswith("pulumi:pulumi:")]
    return offline.Program(tuple(sorted(kept, key=lambda each: (each.type, each.name))), {})


def _declared(state: Mapping[str, Any]) -> offline.Declared:
    urn = state["urn"]
    return offline.Declared(
        type=state["type"],
        name=urn.rpartition("::")[2],
        urn=urn,
        parent=state.get("parent", ""),
        inputs=state.get("inputs", {}),
        protect=bool(state.get("protect")),
        retain=bool(state.get("retainOnDelete")),
        ignored=(),
        depends_on=tuple(state.get("dependencies", ())),
        delete_before_replace=False,
    )
