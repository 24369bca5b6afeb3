"""How far a job is: bars on a terminal, a plain line now and then in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

EVERY_S = 2.0

Advance = Callable[[int], None]


@contextmanager
def stage(name: str, total: int) -> Iterator[Advance]:
    """Show `name` while the block runs; it calls what it is given with the number of items just done."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(name, total=total)
            yield lambda count: progress.advance(task, count)
        return
    started = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if done >= total or now - last >= EVERY_S:
            last = now
            console.print(f"{name} {done}/{total} ({now - started:.0f} s)", highlight=False, soft_wrap=True)

    yield advance
