"""The sheet as a table of 80 columns."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from opsctl.output import write_table

if TYPE_CHECKING:
    from opsctl.sheet import Sheet

WIDTH = 80


def render(sheet: Sheet) -> str:
    """Title, table, notes; nothing is wider than 80 columns."""
    console = Console(file=io.StringIO(), width=WIDTH, highlight=False, markup=False, no_color=True)
    columns, rows, sums = sheet.narrow()
    gap = [("",) * len(columns)] if sums else []
    cells = [[str(cell) for cell in row] for row in (*rows, *gap, *sums)]
    right = [number for number, column in enumerate(columns) if column.figures]
    console.print(sheet.title)
    write_table(console, [column.name for column in columns], cells, right=right)
    for note in sheet.notes:
        console.print()
        console.print(Padding(Text(note), (0, 0, 0, 0)))
    text = console.file
    assert isinstance(text, io.StringIO)  # noqa: S101 - given above
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
