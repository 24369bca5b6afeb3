"""Progress of an update: a bar on a terminal, one plain line per resource in a pipe. Talk, so stderr."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console


@contextmanager
def update_progress(talk: Console, total: int) -> Iterator[Callable[[str, str], None]]:
    """Give a function that is told each operation and its resource as it begins; `total` is how many are expected."""
    if not talk.is_terminal:
        yield lambda operation, resource: talk.print(f"{operation} {resource}")
        return
    columns = (
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=talk, transient=True) as progress:
        task = progress.add_task("starting", total=total)

        def tell(operation: str, resource: str) -> None:
            progress.update(task, description=f"{operation} {resource}", advance=1)

        yield tell
