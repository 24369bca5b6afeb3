"""Where units of work run: in this process, in worker processes, or on a Ray cluster. Results come as they are done."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import wait as wait_for_end
from typing import TYPE_CHECKING

from service.errors import RagError, StartupError
from service.jobs.work import Done, Recipe, Worker

if TYPE_CHECKING:
    from service.jobs.corpus import Document

Units = Iterable[list["Document"]]
Engine = Callable[[Recipe, Units], Iterator[Done]]

AHEAD = 2  # units per worker that are read and wait: enough to keep it busy, and no heap of texts


def inline(recipe: Recipe, units: Units) -> Iterator[Done]:
    """One after the other, here."""
    with Worker.opened(recipe) as worker:
        for unit in units:
            yield worker.do(unit)


def processes(recipe: Recipe, units: Units, *, workers: int) -> Iterator[Done]:
    """In `workers` processes, each with a model of its own.

    Raises:
        StartupError: a worker died; what others wrote is kept.
    """
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(recipe,)
    )
    try:
        waiting: set[Future[Done | str]] = set()
        for unit in units:
            waiting.add(pool.submit(_do, unit))
            if len(waiting) >= AHEAD * workers:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from map(_result, ready)
        while waiting:
            ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from map(_result, ready)
    except BrokenProcessPool as exc:
        raise StartupError(
            "a worker process was ended from outside (out of memory?); take fewer --workers and run it again: what was "
            "done is kept"
        ) from exc
    finally:
        pool.shutdown(cancel_futures=True)


def engine(name: str, workers: int, address: str | None) -> Engine:
    """The engine that the command line asks for.

    Raises:
        StartupError: Ray is asked for and not installed.
    """
    if name == "ray":
        from service.adapters.ray_data import on_ray  # noqa: PLC0415 - heavy, and an extra of its own

        return partial(on_ray, workers=workers, address=address)
    return inline if workers == 1 else partial(processes, workers=workers)


_worker: Worker
_closing = ExitStack()


def _begin(recipe: Recipe) -> None:
    """In a new worker process: load the model, and end with the process that started it, however that ends."""
    global _worker  # noqa: PLW0603 - a pool's initializer can hand over nothing else
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait_for_end([parent.sentinel]), os._exit(1)), daemon=True).start()
    _worker = _closing.enter_context(Worker.opened(recipe))


def _do(unit: list[Document]) -> Done | str:
    """A refusal travels as its line: an error of several arguments does not survive the way back."""
    try:
        return _worker.do(unit)
    except RagError as exc:
        return exc.detail


def _result(future: Future[Done | str]) -> Done:
    result = future.result()
    if isinstance(result, str):
        raise StartupError(result)
    return result
