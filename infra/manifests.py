"""Renders the Kubernetes objects of a stack as YAML, for clusters that are run by GitOps: `make manifests`.

    python -m infra.manifests STACK_FILE FOLDER [--state FILE]

Runs the program offline, so ARNs, subnets and addresses are made up (account 111122223333); with `--state`, the output
of `pulumi stack export`, they are the deployed stack's. Secrets are left out, whatever they hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from infra import config, offline
from infra.config.phases import with_second_phase
from infra.errors import InfraError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

TOKEN = "kubernetes:"  # noqa: S105 - the start of a type token
NOT_PLAIN = ("kubernetes:helm.sh/", "kubernetes:yaml", "kubernetes:kustomize")
NOTE = "# Rendered from {source} by `make manifests`; change the stack file, not this one.\n"
_FIRST = {name: place for place, name in enumerate(("apiVersion", "kind", "metadata", "name", "namespace"))}
FOLDED = 10_000  # a value stays on its line


def manifests(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The objects among resources (type token, inputs) that can be handed to a cluster as they are."""
    for token, inputs in resources:
        if token.startswith(TOKEN) and not token.startswith(NOT_PLAIN) and inputs["kind"] != "Secret":
            yield _plain({key: value for key, value in inputs.items() if key not in {"status", "__defaults"}})


def _plain(value: Any) -> Any:  # noqa: ANN401 - anything that YAML can say
    """In one order, whole numbers as such, nothing twice in memory.

    The engine's protocol keeps no order and has floats only; YAML would refer to what is there twice.
    """
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value, key=lambda key: (_FIRST.get(key, len(_FIRST)), key))}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def secrets(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Names of the Secrets that whoever applies the rest must make."""
    return sorted(str(inputs["metadata"]["name"]) for kind, inputs in resources if kind.endswith("core/v1:Secret"))


def rendered(resources: Iterable[tuple[str, Mapping[str, Any]]], source: str) -> dict[str, str]:
    """File name -> YAML; cluster-wide objects first, so that `kubectl apply -f FOLDER` finds its namespace."""
    found: dict[str, str] = {}
    for each in manifests(resources):
        metadata = each["metadata"]
        order = "10" if "namespace" in metadata else "00"
        text = yaml.safe_dump(each, sort_keys=False, width=FOLDED, allow_unicode=True)
        found[f"{order}-{each['kind'].lower()}-{metadata['name']}.yaml"] = NOTE.format(source=source) + text
    return dict(sorted(found.items()))


def declared(file: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """What the stack file would declare on Kubernetes, with stand-ins where it says nothing of the second phase.

    Raises:
        InfraError: the file's mistakes.
    """
    tree = {**_config(file), "rag-platform:topology": "eks"}
    cfg = config.parse(with_second_phase(tree), stack=file.stem.removeprefix("Pulumi."))
    return [(each.type, each.inputs) for each in offline.declare(cfg).resources]


def exported(state: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """What the stack of an export holds."""
    found = json.loads(state.read_text())["deployment"].get("resources") or []
    return [(each["type"], each.get("inputs") or {}) for each in found]


def _config(file: Path) -> dict[str, Any]:
    document = yaml.safe_load(file.read_text())
    return dict(document["config"])


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.manifests", description="Kubernetes objects as YAML")
    parser.add_argument("stack_file", type=Path, help="Pulumi.<stack>.yaml")
    parser.add_argument("folder", type=Path, help="where the files go; older ones there are removed")
    parser.add_argument("--state", type=Path, help="output of `pulumi stack export`, for the deployed stack's values")
    options = parser.parse_args(argv)
    try:
        resources = exported(options.state) if options.state else declared(options.stack_file)
    except InfraError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as exc:
        read = options.state or options.stack_file
        sys.stderr.write(f"manifests: {read} can't be read ({type(exc).__name__}: {exc})\n")
        return 1
    files = rendered(resources, str(options.state or options.stack_file))
    options.folder.mkdir(parents=True, exist_ok=True)
    for old in options.folder.glob("*.yaml"):
        old.unlink()
    for name, text in files.items():
        (options.folder / name).write_text(text)
    missing = "".join(f"; left out, make it yourself: Secret {name}" for name in secrets(resources))
    sys.stderr.write(f"{len(files)} object{'s' * (len(files) != 1)} in {options.folder}{missing}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
