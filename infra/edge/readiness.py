"""Waiting until the programs of an edge serve, and saying why they don't."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from infra.edge.errors import EdgeError, StartError
from infra.edge.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.edge.running import Manager
    from infra.edge.supervisor_conf import Program

PROBE_S = 5.0
TAKE_OVER_S = 120.0  # a large index is checked and opened beside the one that serves
ENDED = ("BACKOFF", "EXITED", "FATAL")


def wait_ready(manager: Manager, programs: Sequence[Program], *, url: str, limit_s: float) -> None:
    """Wait until `url` answers 200 while every program stays up.

    Raises:
        StartError: a program ended, or `limit_s` is over; what it logged last is in the message.
    """
    watch = _Watch(manager, programs, url)
    if not until(watch.ready, limit_s):
        raise StartError(f"{url} did not become ready within {limit_s:g} s, it says: {watch.answer}; run it again")


def wait_taken_over(metrics_url: str, bundle: str) -> None:
    """Wait until the running service answers from `bundle`.

    Raises:
        EdgeError: it does not; it goes on with the bundle before.
    """

    def taken_over() -> bool:
        with suppress(httpx.HTTPError):
            lines = httpx.get(metrics_url, timeout=PROBE_S, trust_env=False).text.splitlines()
            return any(line.startswith("bundle_info{") and f'id="{bundle}"' in line for line in lines)
        return False

    if not until(taken_over, TAKE_OVER_S):
        raise EdgeError(f"bundle {bundle} was not taken over within {TAKE_OVER_S:g} s; the log of `service` says why")


@dataclass
class _Watch:
    manager: Manager
    programs: Sequence[Program]
    url: str
    answer: str = "nothing"
    pids: dict[str, int] = field(default_factory=dict)

    def ready(self) -> bool:
        """One look; the first program that ended raises."""
        states = {state.name: state for state in self.manager.states()}
        if not states:
            raise StartError(f"{self.manager.address} keeps nothing up any more; run the command again")
        for program in self.programs:
            state = states[program.name]
            first = self.pids.setdefault(program.name, state.pid) if state.pid else 0
            if state.state in ENDED or first != state.pid:
                raise self._ended(program)
        # A service may answer before a program beside it has had the time to fail.
        return self._answers() and all(states[program.name].state == "RUNNING" for program in self.programs)

    def _answers(self) -> bool:
        try:
            response = httpx.get(self.url, timeout=PROBE_S, trust_env=False)
        except httpx.HTTPError as exc:
            self.answer = str(exc)
            return False
        self.answer = f"{response.status_code} {' '.join(response.text.split())[:300]}"
        return response.status_code == httpx.codes.OK

    def _ended(self, program: Program) -> StartError:
        tail = self.manager.tail(program.name)
        if len(tail) > 1:
            sys.stderr.writelines(f"{program.name}: {line}\n" for line in tail)
        said = tail[-1] if tail else "it said nothing"
        return StartError(f"{program.name} did not start: {said}; {program.fix}")
