"""The sheet as CSV, details included, figures exact."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from opsctl.sheet import Quantity, Usd

if TYPE_CHECKING:
    from opsctl.sheet import Cell, Sheet


def render(sheet: Sheet) -> str:
    """One row per row and per sum; a quantity has its unit beside it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    units = [any(isinstance(row[n], Quantity) for row in sheet.rows) for n in range(len(sheet.columns))]
    head = [
        name
        for column, unit in zip(sheet.columns, units, strict=True)
        for name in ([column.name, f"{column.name} unit"] if unit else [column.name])
    ]
    writer.writerow(head)
    for row in (*sheet.rows, *sheet.sums):
        writer.writerow(
            value for cell, unit in zip(row, units, strict=True) for value in (_pair(cell) if unit else [_exact(cell)])
        )
    return text.getvalue()


def _pair(cell: Cell) -> list[str]:
    return [f"{cell.value:f}", cell.unit] if isinstance(cell, Quantity) else [_exact(cell), ""]


def _exact(cell: Cell) -> str:
    if isinstance(cell, Usd):
        return "" if cell.value is None else f"{cell.value:.6f}" if type(cell) is Usd else f"{cell.value:f}"
    return str(cell)
