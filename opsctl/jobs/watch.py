"""Wait for a job and say what it says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opsctl.errors import CheckFailed, CloudRefused, TimedOut
from opsctl.follow import Follower

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from opsctl.jobs.job import Job

POLL_S = 3.0
LATE_LINES_S = 5.0  # the platform's log shows the last lines some seconds after the end


def watch(
    job: Job, talk: Console, *, limit_s: float, poll_s: float = POLL_S, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Print the job's lines until it ends well.

    Raises:
        CheckFailed: it ended with another code than 0; its last line says why.
        CloudRefused: the platform could not start it.
        TimedOut: it still runs after `limit_s` seconds.
    """
    follower, last, began = Follower(job.lines, int(time.time() * 1000)), "", time.monotonic()

    def say() -> None:
        nonlocal last
        for line in follower.new():
            last = line.text.strip() or last
            talk.print(last)

    while (ended := job.ended()) is None:
        say()
        if time.monotonic() - began > limit_s:
            raise TimedOut(f"{job.name} still runs after {limit_s:g} s", next_step=f"it goes on: {job.again}")
        sleep(poll_s)
    say()
    if ended.code is None:
        raise CloudRefused(f"{job.name} did not start: {ended.why or 'no reason given'}", next_step=job.again)
    if not last:
        sleep(min(poll_s, LATE_LINES_S))
        say()
    if ended.code:
        raise CheckFailed(
            f"{job.name} ended with {ended.code}: {last or ended.why or 'it said nothing'}",
            next_step=f"correct that and run the same command again, it goes on where it stopped; {job.again}",
        )
