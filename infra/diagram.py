"""Draws topologies from what they declare: `python -m infra.diagram STACK_FILE DOCUMENT [TOPOLOGY...]`.

Mermaid goes between the document's marks; without a topology the stack file's own is drawn.

A box is a component with the resources that it makes; an arrow points at what a component needs. Runs offline.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from infra import config, offline
from infra.config.phases import with_second_phase

if TYPE_CHECKING:
    from infra.config import StackConfig
    from infra.offline import Declared, Program

FRAMES = ("Foundation",)  # components that only hold others
PIECES = 6  # kinds of resource that a box names


def mermaid(program: Program) -> str:
    """The components of a program and who needs whom, as a Mermaid flowchart."""
    by_urn = {resource.urn: resource for resource in program.resources}
    boxes = {urn: each for urn, each in by_urn.items() if _is_box(each)}
    members: dict[str, Counter[str]] = {urn: Counter() for urn in boxes}
    arrows: set[tuple[str, str]] = set()
    for resource in program.resources:
        home = _home(resource, by_urn, boxes)
        if not resource.custom or home is None:
            continue
        members[home][_kind(resource)] += 1
        needed = {_home(by_urn[urn], by_urn, boxes) for urn in resource.depends_on if urn in by_urn}
        arrows |= {(home, other) for other in needed if other is not None and other != home}
    kept = {urn: counted for urn, counted in members.items() if counted}
    names = {urn: f"{_kind(boxes[urn])}_{number}" for number, urn in enumerate(sorted(kept))}
    lines = [f'  {names[urn]}["{_kind(boxes[urn])}<br/>{_named(counted)}"]' for urn, counted in sorted(kept.items())]
    lines += [f"  {names[one]} --> {names[other]}" for one, other in sorted(arrows) if {one, other} <= kept.keys()]
    return "\n".join(["flowchart LR", *lines]) + "\n"


def _is_box(resource: Declared) -> bool:
    return resource.type.startswith("rag-platform:component:") and _kind(resource) not in FRAMES


def _kind(resource: Declared) -> str:
    return "GeneratedToken" if resource.type.endswith("dynamic:Resource") else resource.type.rpartition(":")[2]


def _home(resource: Declared, by_urn: dict[str, Declared], boxes: dict[str, Declared]) -> str | None:
    """The innermost component that a resource belongs to; None right below the topology."""
    urn = resource.urn
    while urn in by_urn:
        if urn in boxes:
            return urn
        urn = by_urn[urn].parent
    return None


def _named(counted: Counter[str]) -> str:
    pieces = [kind if count == 1 else f"{count} {kind}" for kind, count in sorted(counted.items())]
    rest = len(pieces) - PIECES
    return ", ".join(pieces[:PIECES]) + (f" and {rest} more" if rest > 0 else "")


def stack_config(stack_file: Path, topology: str | None = None) -> StackConfig:
    """A stack file, in `topology` if one is named, with what the second phase adds: there is a workload to draw."""
    tree = yaml.safe_load(stack_file.read_text())["config"]
    if topology is not None:
        tree["rag-platform:topology"] = topology
    return config.parse(with_second_phase(tree), stack=stack_file.name.split(".")[1])


def draw(stack_file: Path, topology: str | None = None) -> str:
    """The diagram of a stack file, in `topology` if one is named."""
    return mermaid(offline.declare(stack_config(stack_file, topology)))


def placed(document: str, topology: str, drawn: str) -> str:
    """`document` with the diagram of `topology` between its two marks.

    Raises:
        ValueError: the document has no such marks.
    """
    before, start, rest = document.partition(f"<!-- diagram: {topology} -->\n")
    _, end, after = rest.partition("<!-- end of diagram -->\n")
    if not (start and end):
        raise ValueError(f"no line `<!-- diagram: {topology} -->`, or no `<!-- end of diagram -->` below it")
    return f"{before}{start}\n```mermaid\n{drawn}```\n\n{end}{after}"


def main(stack_file: str, document: str, *topologies: str) -> None:
    """Draw a stack file into a document."""
    file = Path(document)
    for topology in topologies or (stack_config(Path(stack_file)).topology,):
        file.write_text(placed(file.read_text(), topology, draw(Path(stack_file), topology)))


if __name__ == "__main__":
    main(*sys.argv[1:])
