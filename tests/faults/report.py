"""The fault table as it is printed and written: each row, whether it held, and what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.faults.rows import ROWS, Row

FIGURES = "figures"
WIDTH = 200


@dataclass(frozen=True)
class Line:
    """A row and the reports of the tests that show it."""

    number: str
    row: Row
    reports: Sequence[pytest.TestReport]

    @property
    def held(self) -> bool:
        """Every one of its tests ran and passed."""
        return bool(self.reports) and all(report.passed for report in self.reports)

    @property
    def figures(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for report in self.reports:
            found |= dict(report.user_properties).get(FIGURES, {})
        return found


def lines(reports: Mapping[str, Sequence[pytest.TestReport]]) -> list[Line]:
    return [Line(number, row, reports.get(number, ())) for number, row in ROWS.items()]


def write(path: Path, table: Sequence[Line]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, Any]] = {
        line.number: {
            "fault": line.row.fault,
            "outcome": line.row.outcome,
            "held": line.held,
            "figures": line.figures,
        }
        for line in table
    }
    path.write_text(json.dumps(rows, indent=2) + "\n")


def show(table: Sequence[Line]) -> None:
    shown = Table("row", "fault", "outcome", "held", "figures")
    for line in table:
        verdict = "yes" if line.held else "NO" if line.reports else "not run"
        figures = ", ".join(f"{name} {value:.3g}" for name, value in line.figures.items())
        shown.add_row(line.number, line.row.fault, line.row.outcome, verdict, figures)
    console = Console(width=WIDTH)
    console.print()
    console.print(shown)
    console.print(f"{sum(line.held for line in table)} of {len(table)} held")
