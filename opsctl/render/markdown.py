"""The sheet as Markdown, fit for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.render import mermaid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsctl.sheet import Cell, Sheet


def render(sheet: Sheet) -> str:
    """A heading, the table, the charts, the notes."""
    columns, rows, sums = sheet.narrow()
    head = [_row([column.name for column in columns]), _row(["--:" if each.figures else "---" for each in columns])]
    body = [_row(row) for row in rows] + [_row([f"**{cell}**" if str(cell) else "" for cell in row]) for row in sums]
    notes = [f"- {note}" for note in sheet.notes]
    charts = [part for block in mermaid.blocks(sheet.charts) for part in (block, "")]
    return "\n".join([f"### {sheet.title}", "", *head, *body, "", *charts, *notes]) + "\n"


def _row(cells: Sequence[Cell]) -> str:
    escaped = [str(cell).replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"
