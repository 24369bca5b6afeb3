"""What the service itself costs per /rag: every backend is a stub that answers at once, 50 requests are in flight.

Own time is CPU time in the request's tasks, so that neighbours on the machine don't count as ours; nothing is taken
off. With nothing to wait for, the wall time of an answer is that of 50 requests on one core and says little.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from figures import Figure, Report, main, report
from paired import Measure, paired
from processes import cpu_of, drive, environ, fetch, free_port, server

if TYPE_CHECKING:
    import psutil

CLIENTS = 50
REQUESTS = 3000  # the kernel counts CPU in ticks of 10 ms, which are a tenth of 1000 bare POSTs
ROUNDS = 12
METERED_REQUESTS = 5000
P50_MS, P99_MS, TIMES_BARE = 1.0, 3.0, 4.0
STUBBED = Path(__file__).with_name("stubbed.py")


def run() -> Report:
    with ExitStack() as stack:
        servers = {name: _started(stack, name) for name in ("edge", "all", "metered", "bare")}
        fresh = _Bodies()
        cpu_ms = {name: _cpu_ms(*servers[name], fresh) for name in ("edge", "all", "bare")}
        edge, every = (
            paired(cpu_ms[name], cpu_ms["bare"], rounds=ROUNDS, unit="CPU ms per request") for name in ("edge", "all")
        )
        own_ms = _own_ms(servers["metered"][0], fresh)
    figures = [
        Figure("own CPU per /rag, all stages, p50", median(own_ms), "ms", at_most=P50_MS),
        Figure("own CPU per /rag, all stages, p99", quantiles(own_ms, n=100)[98], "ms", at_most=P99_MS),
        Figure("process per /rag, edge stages / bare POST", edge.ratio, "x CPU", at_most=TIMES_BARE),
        Figure("process per /rag, all stages / bare POST", every.ratio, "x CPU", at_most=TIMES_BARE),
        Figure("process per /rag, edge stages", median(edge.a), "CPU ms"),
        Figure("process per /rag, all stages", median(every.a), "CPU ms"),
        Figure("process per bare POST", median(edge.b), "CPU ms"),
    ]
    details = {"inFlight": CLIENTS, "metered": len(own_ms), "edge": edge.document(), "all": every.document()}
    versions = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "pydantic")
    return report(
        "What does the service add to a /rag whose backends cost nothing?", figures, details=details, versions=versions
    )


def _started(stack: ExitStack, name: str) -> tuple[str, psutil.Process]:
    """Base URL and process of one of the servers of stubbed.py."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, STUBBED, name, "--port", str(port)]
    return url, stack.enter_context(server(command, f"{url}/livez", environ()))


def _own_ms(url: str, fresh: _Bodies) -> list[float]:
    """CPU of each request's own tasks, after as many that don't count."""
    own_ms: list[float] = []
    for _ in range(2):
        drive(f"{url}/rag", fresh.next(METERED_REQUESTS), clients=CLIENTS, requests=METERED_REQUESTS)
        own_ms = json.loads(fetch(f"{url}/own"))
    return own_ms


class _Bodies:
    """Questions that no earlier request asked, so that none is answered from the cache."""

    def __init__(self) -> None:
        self._given = 0

    def next(self, count: int) -> list[dict[str, str]]:
        self._given += count
        return [
            {"query": f"What controls processes on UNIX, case {n}?"} for n in range(self._given - count, self._given)
        ]


def _cpu_ms(url: str, process: psutil.Process, fresh: _Bodies) -> Measure:
    def measure() -> float:
        before = cpu_of(process)
        drive(f"{url}/rag", fresh.next(REQUESTS), clients=CLIENTS, requests=REQUESTS)
        return (cpu_of(process) - before) * 1000 / REQUESTS

    return measure


if __name__ == "__main__":
    main(run)
