"""What is loaded: the service as it is deployed over a small index, and a model that answers after 100 ms.

On two cores the service has one for itself (or for its two replicas); driver, model and nginx share the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any

import psutil
from processes import PROJECT, environ, fetch, free_port, server

from opsctl.load.driver import Plan, drive
from opsctl.load.target import Target
from service.jobs.ingest import ingest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsctl.load.record import Record
    from opsctl.load.schedule import Schedule
    from opsctl.load.target import Key

DRIVER_CORE, SERVICE_CORE = 0, 1
CORES = (os.cpu_count() or 1) > 1
MODEL = Path(__file__).with_name("model.py")
MODEL_S = 0.1
MODEL_PLACES = 4  # completions at once; the service takes twice as many requests
MIB = 2**20
SAMPLE_S = 1.0
TOPICS = sorted(path.stem.replace("-", " ") for path in (PROJECT / "docs" / "decisions").rglob("*.md"))
QUERIES = tuple(f"What was decided about {TOPICS[n % len(TOPICS)]}, case {n}?" for n in range(1000))


@dataclass(frozen=True)
class Model:
    """A running model."""

    url: str

    def calls(self) -> int:
        """Completions so far."""
        return int(json.loads(fetch(f"{self.url}/calls"))["calls"])


@dataclass(frozen=True)
class Service:
    """A running service."""

    url: str
    process: psutil.Process


@dataclass
class Usage:
    """What a process held over time: seconds, resident MiB, descriptors, threads."""

    at_s: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)


@contextmanager
def on_the_drivers_core() -> Iterator[None]:
    """Keep this process and what it starts off the service's core."""
    own = psutil.Process()
    before = own.cpu_affinity()
    if CORES:
        own.cpu_affinity([DRIVER_CORE])
    try:
        yield
    finally:
        own.cpu_affinity(before)


@contextmanager
def small_bundle() -> Iterator[Path]:
    """An index of this project's own documents."""
    with TemporaryDirectory(prefix="rag-load-") as folder:
        ingest(PROJECT / "docs" / "decisions", Path(folder), "sq8", min_recall=0, threads=1)
        yield Path(folder)


@contextmanager
def model(*, first_token_s: float = MODEL_S, pieces: int = 4, gap_s: float = 0.0) -> Iterator[Model]:
    """A model that answers after `first_token_s`, a piece every `gap_s`."""
    url = f"http://127.0.0.1:{free_port()}"
    told = {"--port": url.rpartition(":")[2], "--first-token-s": first_token_s, "--pieces": pieces, "--gap-s": gap_s}
    command = [sys.executable, MODEL, *(str(word) for pair in told.items() for word in pair)]
    with server(command, f"{url}/calls", environ()):
        yield Model(url)


@contextmanager
def service(bundle: Path, model: Model, *, pinned: bool = True, **settings: str) -> Iterator[Service]:
    """`python -m service`, ready, on its core or on all, with `settings` on top of those of every row."""
    url = f"http://127.0.0.1:{free_port()}"
    env = environ(
        RAG_PORT=url.rpartition(":")[2],
        RAG_METRICS_PORT="0",
        RAG_VECTOR_STORE="faiss",
        RAG_BUNDLE_DIR=str(bundle),
        RAG_SEARCH_TIMEOUT_S="10",  # a busy machine must not turn a figure into a 503
        RAG_MIN_SCORE="-1",  # every question goes to the model
        RAG_GENERATOR="openai",
        OPENAI_API_KEY="of-a-stub",
        OPENAI_BASE_URL=f"{model.url}/v1",
    )
    with server(
        [*(_cores(SERVICE_CORE) if pinned else _cores(DRIVER_CORE, SERVICE_CORE)), sys.executable, "-m", "service"],
        f"{url}/readyz",
        env | settings,
    ) as process:
        yield Service(url, process)


def _cores(*numbers: int) -> list[str]:
    """What puts a command on these cores from its birth, so that its threads are there too."""
    return ["taskset", "--cpu-list", ",".join(map(str, numbers))] if CORES else []


def bounded() -> dict[str, str]:
    """Settings of a service whose model has MODEL_PLACES; the bound on requests in flight follows from them."""
    return {"RAG_HTTP_CONNECTIONS": str(MODEL_PLACES)}


def plan(loaded: Service, schedule: Schedule, *, keys: tuple[Key, ...] = (), **more: Any) -> Plan:  # noqa: ANN401 - fields of Plan
    """Questions that are all alike in cost, unless the row says otherwise."""
    return Plan(Target(loaded.url, keys), schedule, **({"queries": QUERIES, "zipf_exponent": 0.0} | more))


def drive_all(*plans: Plan) -> list[Record]:
    """Run plans at the same time, in one process."""

    async def together() -> list[Record]:
        return await asyncio.gather(*map(drive, plans))

    return asyncio.run(together())


@contextmanager
def watched(process: psutil.Process) -> Iterator[Usage]:
    """Sample a process once a second while the block runs."""
    usage, over, began = Usage(), threading.Event(), monotonic()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            usage.at_s.append(monotonic() - began)
            usage.rss_mib.append(process.memory_info().rss / MIB)
            usage.descriptors.append(process.num_fds())
            usage.threads.append(process.num_threads())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ExitStack() as stack:
        stack.callback(watcher.join)
        stack.callback(over.set)
        yield usage
