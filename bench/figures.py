"""What a bench says: figures, each with its unit and its goal. A missed goal is news, no error."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from paired import environment

Report: TypeAlias = dict[str, Any]


class Skipped(Exception):
    """This machine lacks what the bench needs; the message says what, and the way to it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number; a goal is `at_most` or `at_least`, or absent where the number is context."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def goal(self) -> str | None:
        """As a reader writes it."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return None if self.at_least is None else f">= {self.at_least:g}"

    @property
    def met(self) -> bool | None:
        """None where there is no goal."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    def document(self) -> Report:
        """Spell the figure as JSON."""
        return {
            "figure": self.name,
            "value": float(f"{self.value:.4g}"),
            "unit": self.unit,
            "goal": self.goal,
            "met": self.met,
        }


def report(
    question: str, figures: Sequence[Figure], *, details: Mapping[str, object], versions: Sequence[str]
) -> Report:
    """What `run` of a bench returns; `versions` names the distributions whose release matters."""
    return {
        "question": question,
        "figures": [figure.document() for figure in figures],
        "details": dict(details),
        "environment": environment(*versions),
    }


def main(run: Callable[[], Report]) -> None:
    """Run one bench from the command line and print its report."""
    try:
        print(json.dumps(run(), indent=2))
    except Skipped as exc:
        print(json.dumps({"skipped": str(exc)}, indent=2))
