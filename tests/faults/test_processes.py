"""F24, F25 and F30: what happens to a process under load, and to those who ask it meanwhile."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import httpx
import psutil
import pytest

from tests.contract.conftest import Library
from tests.faults.load import ASKERS, PATIENCE_S, Load
from tests.real_processes import Running, free_port, nginx, serve, service, wait_until
from tests.scripted_openai import ScriptedOpenAI

ROLLED_UNDER = 1000
FILES = 64
CROWD = 120
BUSY_S = 5.0  # 1 s on a quiet machine


@dataclass
class Worker:
    """One service on a port that it keeps over restarts."""

    settings: dict[str, object]
    stack: ExitStack
    running: Running = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.running = self.stack.enter_context(service(self.settings))

    def end(self, signum: signal.Signals) -> int:
        """Send the signal and wait; the process's exit code."""
        self.running.process.send_signal(signum)
        return self.running.process.wait(PATIENCE_S)


def settings(library: Library, api_url: str) -> dict[str, object]:
    return {
        "RAG_VECTOR_STORE": "faiss",
        "RAG_BUNDLE_DIR": library.home,
        "RAG_GENERATOR": "openai",
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": f"{api_url}/v1",
        "RAG_SEARCH_TIMEOUT_S": 10,  # in the process's own index: a busy machine is no fault
        "RAG_CACHE": "memory",
        "RAG_LOG_FORMAT": "text",
    }


@dataclass
class Fleet:
    """Two workers behind nginx."""

    url: str
    workers: list[Worker]

    @contextmanager
    def loaded(self) -> Iterator[Load]:
        with Load(self.url).running() as load:
            load.reaches(10 * ASKERS)
            yield load


@pytest.fixture(scope="module")
def fleet(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    api = ScriptedOpenAI(pace_s=0.1)
    with ExitStack() as stack:
        known = settings(library, stack.enter_context(serve(api.app())).url)
        workers = [Worker(known | {"RAG_PORT": free_port()}, stack) for _ in range(2)]
        ports = [worker.running.port for worker in workers]
        yield Fleet(stack.enter_context(nginx(tmp_path_factory.mktemp("nginx"), *ports)).url, workers)


@pytest.mark.fault("F25")
def test_workers_that_are_rolled_fail_nobody(fleet: Fleet, figures: dict[str, float]) -> None:
    with fleet.loaded() as load:
        for worker in fleet.workers:
            assert worker.end(signal.SIGTERM) == 0
            worker.start()
        load.reaches(ROLLED_UNDER)
    figures |= {"failed": len(load.failed), "asked": len(load.outcomes)}
    assert load.failed == []


@pytest.mark.fault("F24")
def test_a_killed_worker_costs_its_own_requests_in_flight(fleet: Fleet, figures: dict[str, float]) -> None:
    first, second = fleet.workers
    with fleet.loaded() as load:
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
        load.reaches(len(load.outcomes) + 20 * ASKERS)
        assert second.running.process.poll() is None
    ends = [one.ended for one in load.failed] or [0.0]
    figures |= {"failed": len(load.failed), "asked": len(load.outcomes), "errors for s": max(ends) - min(ends)}
    assert len(load.failed) <= ASKERS
    assert max(ends) - min(ends) < BUSY_S


async def crowd(url: str) -> Counter[str]:
    """What everybody got who asked at once."""
    limits = httpx.Limits(max_connections=CROWD)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S, limits=limits) as http:

        async def ask(number: int) -> str:
            query = f"How does the Analytical Engine weave patterns {number}?"
            return str((await http.post("/rag", json={"query": query})).status_code)

        return Counter(await asyncio.gather(*(ask(number) for number in range(CROWD))))


@pytest.mark.fault("F30")
def test_what_descriptors_do_not_allow_is_refused_and_then_it_serves_again(
    library: Library, figures: dict[str, float]
) -> None:
    api = ScriptedOpenAI(pace_s=0.2)
    with (
        serve(api.app()) as server,
        service(settings(library, server.url), "prlimit", f"--nofile={FILES}") as running,
    ):
        found = asyncio.run(crowd(running.url))
        figures |= {f"answered {outcome}": count for outcome, count in sorted(found.items())}
        assert psutil.Process(running.process.pid).num_fds() <= FILES
        with httpx.Client(base_url=running.url, trust_env=False, timeout=PATIENCE_S) as http:

            def answered() -> bool:
                return http.post("/rag", json={"query": "What weaves patterns?"}).status_code == httpx.codes.OK

            wait_until(answered, within_s=PATIENCE_S, what="an answer after the crowd")
            after = [answered() for _ in range(20)]
        assert running.process.poll() is None
    assert found["503"] > 0
    assert set(found) <= {"200", "503"}
    assert all(after)
