"""How results and talk reach the operator: stdout is data (a table, or JSON with a stable shape), stderr is talk."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opsctl.settings import Settings

Form = Literal["table", "json"]

PIPE_WIDTH = 120  # a pipe has no width of its own; 80 would fold most evidence
STYLES = {
    "ok": "green",
    "running": "green",
    "failed": "bold red",
    "missing": "bold red",
    "rolled back": "bold red",
    "skipped": "yellow",
    "optional": "yellow",
    "n/a": "dim",
}


def data_console(settings: Settings) -> Console:
    """Stdout."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(no_color=not settings.color, highlight=False, markup=False, width=width)


def talk_console(settings: Settings) -> Console:
    """Stderr."""
    return Console(stderr=True, no_color=not settings.color, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def working(talk: Console, what: str) -> Iterator[None]:
    """Show that `what` goes on: a spinner on a terminal, one plain line in a pipe."""
    if talk.is_terminal:
        with talk.status(what):
            yield
    else:
        talk.print(what)
        yield


def write_json(document: Mapping[str, object]) -> None:
    """Write one JSON document to stdout."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def write_change(form: Form, done: str, **what: object) -> None:
    """Say in JSON what a command that has nothing else to print did; a reader is told by its talk."""
    if form == "json":
        write_json({"version": 1, "done": done, **what})


def write_table(
    console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """Write rows under `columns`; a cell that is a known state is coloured by it, columns of `right` hold figures."""
    console.print(table_of(columns, rows, right=right))


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> Table:
    """The same as something to print, or to show again and again."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="right" if column == "time" or number in right else "left")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    return table
