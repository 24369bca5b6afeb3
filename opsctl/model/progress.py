"""Progress of a copy: a bar of bytes on a terminal, one plain line per file in a pipe. Talk, so stderr."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from opsctl.model.weights import Weights


@contextmanager
def copy_progress(talk: Console, weights: Weights) -> Iterator[Callable[[str, int], None]]:
    """Give a function that is told a file's path and how many bytes of it are done since it was told last."""
    if not talk.is_terminal:
        missing = {file.path: file.size for file in weights.files}

        def count(path: str, done: int) -> None:
            missing[path] -= done
            if missing[path] <= 0:
                talk.print(f"{path} is there")

        yield count
        return
    columns = (
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=talk, transient=True) as progress:
        task = progress.add_task("", total=sum(file.size for file in weights.files))

        def tell(path: str, done: int) -> None:
            progress.update(task, description=path, advance=done)

        yield tell
