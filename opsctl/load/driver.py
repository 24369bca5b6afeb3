"""Starts each request when the schedule says so, whatever became of the ones before (an open model).

A driver that waits for answers sends less just when the service is slow, and so leaves out what users would have met
(coordinated omission). Here latency counts from the time at which a request was meant to start.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, TypeAlias

import aiohttp

from opsctl.load.limits import Limits
from opsctl.load.mix import zipf
from opsctl.load.outcome import Outcome
from opsctl.load.record import Record, Sample
from opsctl.load.request import Asking, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opsctl.load.schedule import Schedule
    from opsctl.load.target import Target

Caller: TypeAlias = tuple[str | None, dict[str, str]]  # a key's name, and the headers that carry it
WATCH_S = 1.0
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        queries: the most asked first.
        zipf_exponent: how much more often; 0: all alike.
        max_open: requests at once; what comes beyond is counted as unsent, so that the driver can't drown itself.
        limits: what ends the run early.
    """

    target: Target
    schedule: Schedule
    queries: tuple[str, ...]
    asking: Asking = field(default_factory=Asking)
    zipf_exponent: float = 1.0
    max_open: int = 2000
    limits: Limits = field(default_factory=Limits)


async def drive(plan: Plan, watch: Callable[[Record], None] | None = None) -> Record:
    """Run the schedule and wait for the last answer; bounded by the schedule, its limits and one request's timeout.

    `watch` is shown the record every second while it fills.
    """
    record = Record.lasting(plan.schedule.seconds)
    async with _session() as session:
        run = _Run(plan, session, record)
        watching = asyncio.create_task(_watching(run, record, watch)) if watch else None
        async with asyncio.TaskGroup() as requests:
            for at_s in plan.schedule.times():
                # Also where the driver is late: only an await lets the requests that it has started go on.
                await asyncio.sleep(max(0.0, run.started + at_s - run.now()))
                record.stopped = plan.limits.broken(record)
                if record.stopped:
                    record.spent_out = plan.limits.unaffordable(record) is not None
                    break
                run.start(at_s, requests)
        record.wall_s = run.now() - run.started
        if watching:
            watching.cancel()
    return record


async def _watching(run: _Run, record: Record, watch: Callable[[Record], None]) -> None:
    while True:
        await asyncio.sleep(WATCH_S)
        record.wall_s = run.now() - run.started
        watch(record)


def _session() -> aiohttp.ClientSession:
    # aiohttp and not httpx, whose pool walks over all connections for each request (docs/decisions/0022 has figures).
    return aiohttp.ClientSession(
        headers=JSON,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),  # Asking.timeout_s is the only one
    )


class _Run:
    """The state of one run."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession, record: Record) -> None:
        self._plan = plan
        self._session = session
        self._url = f"{plan.target.url}{plan.asking.path}"
        self._record = record
        self._open = 0
        self._queries = zipf(plan.queries, plan.zipf_exponent, plan.schedule.seed)
        keyed = [(key.name, {"Authorization": f"Bearer {key.secret}"}) for key in plan.target.keys]
        self._callers: Iterator[Caller] = cycle(keyed or [(None, {})])
        self.now = asyncio.get_running_loop().time
        self.started = self.now()

    def start(self, at_s: float, requests: asyncio.TaskGroup) -> None:
        """Start the request that was meant to start at `at_s`, unless too many are open."""
        caller, query = next(self._callers), next(self._queries)
        if self._open >= self._plan.max_open:
            self._record.add(Sample(Outcome.UNSENT, at_s, 0.0, key=caller[0]))
            return
        self._open += 1
        requests.create_task(self._request(at_s, query, *caller))

    async def _request(self, at_s: float, query: str, key: str | None, headers: dict[str, str]) -> None:
        meant_s = self.started + at_s
        lag_s = self.now() - meant_s
        ending = await ask(self._session, self._url, self._plan.asking, query, headers)
        self._open -= 1
        self._record.add(
            Sample(
                ending.outcome,
                at_s,
                latency_s=self.now() - meant_s,
                lag_s=lag_s,
                first_token_s=None if ending.first_token_s is None else ending.first_token_s - meant_s,
                cached=ending.cached,
                key=key,
                usd=ending.usd,
            )
        )
