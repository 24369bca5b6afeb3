"""The stack file, parsed without the Pulumi engine: what a stack is meant to be; `opsctl.stack` says what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from infra.config import StackConfig, parse
from infra.errors import ConfigErrors
from opsctl.errors import NotUsable, StackNotFound

if TYPE_CHECKING:
    from opsctl.project import Project


def read_stack_config(project: Project, stack: str) -> StackConfig:
    """The config of `stack`; secrets stay encrypted.

    Raises:
        StackNotFound: it has no stack file.
        NotUsable: the file can't be read, or its keys are wrong; every mistake is named.
    """
    name = stack.rpartition("/")[2]
    file = project.root / f"Pulumi.{name}.yaml"
    try:
        document = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
        config = document.get("config") if isinstance(document, dict) else None
        return parse(config, stack=name, encrypted=encrypted_keys(config))
    except FileNotFoundError as exc:
        raise StackNotFound(
            f"stack '{name}' has no file {file.name}", next_step="name one of the stacks whose file is in the project"
        ) from exc
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        why = " ".join(str(exc).split())
        raise NotUsable(f"{file.name} can't be read: {why}", next_step="correct the file") from exc
    except ConfigErrors as exc:
        why = "; ".join(str(mistake) for mistake in exc.mistakes)
        raise NotUsable(f"{file.name} is wrong: {why}", next_step="correct these keys") from exc


def encrypted_keys(config: object) -> frozenset[str]:
    """The keys of a stack file that Pulumi encrypted."""
    pairs = config.items() if isinstance(config, dict) else ()
    return frozenset(key for key, value in pairs if isinstance(value, dict) and "secure" in value)
