"""Ray Data: units of work on a cluster, or on a Ray inside this process. An extra of its own, for it is heavy.

The driver reads and compares documents; cutting, embedding and writing run in actors, each with a model of its own.
Units go to the cluster in waves, so that a corpus of any size passes through the driver's memory a wave at a time.
"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any

from service.errors import RagError, StartupError
from service.jobs.work import Worker

if TYPE_CHECKING:
    from service.jobs.corpus import Document
    from service.jobs.work import Done, Recipe

WAVE = 1024  # units: 48 MiB of text
KNOCK_S = 5.0
LOCAL_STORE_BYTES = 512 * 1024**2  # of a Ray inside this process; its own default is a third of the memory


def on_ray(recipe: Recipe, units: Iterable[list[Document]], *, workers: int, address: str | None) -> Iterator[Done]:
    """In `workers` actors of the cluster at `address`; None starts a Ray for this run.

    Raises:
        StartupError: Ray is not installed, no cluster answers, or an actor failed.
    """
    try:
        import ray  # noqa: PLC0415 - the extra may not be there
        import ray.data  # noqa: F401, PLC0415 - not loaded by the package itself
        from ray.exceptions import RayError  # noqa: PLC0415
    except ImportError as exc:
        raise StartupError("--engine ray needs the extra: pip install 'rag-platform[ray]'") from exc
    try:
        _connect(ray, address, workers)
        waiting = iter(units)
        while wave := list(islice(waiting, WAVE)):
            yield from _wave(ray, wave, recipe, min(workers, len(wave)))
    except (RayError, ConnectionError, TimeoutError) as exc:
        reason = str(exc).strip().splitlines()[-1]
        raise StartupError(f"Ray: {reason}; run it again: what was done is kept") from exc
    finally:
        ray.shutdown()


class Actor:
    """Works on one unit at a time; a refusal travels as its line."""

    def __init__(self, recipe: bytes) -> None:
        self._closing = ExitStack()
        self._worker = self._closing.enter_context(Worker.opened(pickle.loads(recipe)))  # noqa: S301 - the driver's own

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """One row per unit: what was done, or why not."""
        return {"done": [self._one(unit) for unit in batch["unit"]]}

    def _one(self, unit: bytes) -> bytes:
        try:
            return pickle.dumps(self._worker.do(pickle.loads(unit)))  # noqa: S301 - the driver's own
        except RagError as exc:
            return pickle.dumps(exc.detail)


def _connect(ray: Any, address: str | None, workers: int) -> None:  # noqa: ANN401 - an optional library
    quiet = {"log_to_driver": False, "logging_level": "error", "ignore_reinit_error": True}
    if address is not None:
        _knock(address)
    local = {
        "num_cpus": workers + 1,
        "include_dashboard": False,
        "object_store_memory": LOCAL_STORE_BYTES,
        "_system_config": {"worker_niceness": 0},  # at its own 15 a busy machine leaves the actors next to nothing
    }
    try:
        ray.init(**quiet, **({"address": address} if address else local))
    except Exception as exc:  # Ray raises bare Exception where its own processes don't come up
        where = address or "a Ray inside this process"
        raise StartupError(f"Ray: {where} did not start ({str(exc).splitlines()[0]}); run it again") from exc
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


def _knock(address: str) -> None:
    """Ray itself tries for minutes where nothing listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():  # `auto`: Ray knows
        return
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()
    except OSError as exc:
        raise StartupError(
            f"Ray: no cluster answers at {address} ({exc.strerror or exc}); correct --ray-address"
        ) from exc


def _wave(ray: Any, wave: list[list[Document]], recipe: Recipe, workers: int) -> Iterator[Done]:  # noqa: ANN401
    items = [{"unit": pickle.dumps(unit)} for unit in wave]
    actors = ray.data.ActorPoolStrategy(size=workers)
    done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        Actor, fn_constructor_args=(pickle.dumps(recipe),), batch_size=1, compute=actors, num_cpus=1
    )
    for row in done.iter_rows():
        result = pickle.loads(row["done"])  # noqa: S301 - of our own actors
        if isinstance(result, str):
            raise StartupError(result)
        yield result
