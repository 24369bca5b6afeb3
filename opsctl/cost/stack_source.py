"""Where the resources come from: the infra program run in process for a stack file, or a preview that Pulumi wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from infra import offline
from infra.config import parse
from infra.config.phases import with_second_phase
from infra.errors import ConfigErrors
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from pathlib import Path

    from infra.config import StackConfig


def stack_config(file: Path) -> StackConfig:
    """The config of a stack file; what only the second phase adds is filled in, so that there is a workload to price.

    Raises:
        NotUsable: the file can't be read, or its config has mistakes.
    """
    try:
        tree = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
        config = tree.get("config") if isinstance(tree, dict) else None
        return parse(with_second_phase(config), stack=file.name.removeprefix("Pulumi.").removesuffix(".yaml"))
    except ConfigErrors as exc:
        wrong = "; ".join(str(mistake) for mistake in exc.mistakes)
        raise NotUsable(f"{file}: {wrong}", next_step="mend the stack file") from exc
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise NotUsable(f"{file}: {' '.join(str(exc).split())}", next_step="give a readable stack file") from exc


def previewed(file: Path) -> offline.Program:
    """The resources that `pulumi preview --json` says the stack will have.

    Raises:
        NotUsable: the file is no such document.
    """
    try:
        steps = json.loads(file.read_text(encoding="utf-8"))["steps"]
        resources = [_declared(step["newState"]) for step in steps if "newState" in step and step["op"] != "delete"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise NotUsable(
            f"--preview {file}: {exc}", next_step="write one with `pulumi preview --json > preview.json`"
        ) from exc
    kept = [each for each in resources if not each.type.startswith("pulumi:pulumi:")]
    return offline.Program(tuple(sorted(kept, key=lambda each: (each.type, each.name))), {})


def _declared(state: dict[str, Any]) -> offline.Declared:
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
