"""The config of a stack file, as a person wrote it and with changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

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
