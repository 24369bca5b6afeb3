"""Acts on a plan step by step, waits where AWS takes its time, judges what came of it, and takes back what failed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from opsctl.endpoint.lock import Held
from opsctl.endpoint.state import BUSY
from opsctl.endpoint.steps import Create, Remove, Step, told
from opsctl.endpoint.verdict import judge
from opsctl.errors import CloudRefused, OpsctlError, RolledBack, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opsctl.endpoint.ports import Cloud
    from opsctl.endpoint.resources import Key
    from opsctl.endpoint.state import Part

SLOW = frozenset({"endpoint", "component"})


class Leftover(CloudRefused):
    """What was asked for runs, and what no release needs any more could not be removed."""


class Watch(Protocol):
    """Is told how the work goes."""

    def step(self, number: int, total: int, what: str) -> None:
        """A step begins."""

    def waiting(self, what: str, elapsed_s: float) -> None:
        """A slow step goes on; `what` is the object and its state."""

    def note(self, text: str) -> None:
        """Something worth a line."""


@dataclass(slots=True)
class Pace:
    """How long all of it may take, and how often it looks.

    Attributes:
        wait: False leaves before the first wait.
    """

    limit_s: float
    poll_s: float = 10.0
    wait: bool = True
    _start: float = field(default_factory=time.monotonic, init=False)

    @property
    def elapsed_s(self) -> float:
        """Since the work began."""
        return time.monotonic() - self._start

    @property
    def left_s(self) -> float:
        """Until the limit."""
        return max(0.0, self.limit_s - self.elapsed_s)


@dataclass(frozen=True, slots=True)
class Executor:
    """Runs plans against a cloud.

    Attributes:
        beat: called before each step and each look; raises where the lock was lost.
        keep_failed: what a failed step and those before it made stays to be looked at.
    """

    cloud: Cloud
    watch: Watch
    pace: Pace
    beat: Callable[[], None]
    keep_failed: bool = False

    def run(self, steps: Sequence[Step]) -> int:
        """Act on `steps`; gives how many were done and proven, which is fewer only where it was told not to wait.

        Raises:
            RolledBack: what runs is not what was asked for; the steps before it were taken back.
            CloudRefused: the same, for a call that AWS refused.
            Leftover: nothing was taken back, only the tidying is left.
            TimedOut, Held: nothing was taken back; the work may still go on, or is another run's now.
        """
        needed, leftovers = _parted(steps)
        done: list[Step] = []
        try:
            for number, step in enumerate(needed, start=1):
                self.watch.step(number, len(steps), told(step))
                self._act(step)
                done.append(step)
                if step.key[0] in SLOW and not self.pace.wait:
                    return number - 1
                self._prove(step)
        except (TimedOut, Held):
            raise
        except _Stuck as exc:
            raise exc.outcome from None
        except OpsctlError:
            self._take_back(done)
            raise
        self._tidy(leftovers, len(steps))
        return len(steps)

    def _tidy(self, leftovers: Sequence[Step], total: int) -> None:
        """Remove what is not needed any more; a refusal is no reason to take back a release that has proven to run."""
        for number, step in enumerate(leftovers, start=total - len(leftovers) + 1):
            self.watch.step(number, total, told(step))
            try:
                self._act(step)
                self._prove(step)
            except CloudRefused as exc:
                raise Leftover(f"what was asked for runs, but {exc.problem}", next_step=exc.next_step) from exc

    def settle(self, key: Key) -> Part | None:
        """Wait until an endpoint or component is changing no more; gives it as it then is.

        Raises:
            TimedOut
        """

        def look() -> Part | None:
            self.beat()
            found = self.cloud.look(key)
            self.watch.waiting(f"{' '.join(key)} {found.status if found else 'is gone'}", self.pace.elapsed_s)
            return found

        polling = Retrying(
            stop=stop_after_delay(self.pace.left_s),
            wait=wait_fixed(self.pace.poll_s),
            retry=retry_if_result(lambda found: found is not None and found.status in BUSY),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        found = polling(look)
        if found is not None and found.status in BUSY:
            raise TimedOut(
                f"{' '.join(key)} is still {found.status} after {self.pace.elapsed_s:.0f} s",
                next_step="run the same command again: it goes on from there",
            )
        return found

    def _act(self, step: Step) -> None:
        self.beat()
        step.act(self.cloud)

    def _prove(self, step: Step) -> None:
        if step.key[0] not in SLOW:
            return
        found = self.settle(step.key)
        if isinstance(step, Remove):
            if found is not None:
                raise CloudRefused(
                    f"{' '.join(step.key)} can't be deleted, it is {found.status}",
                    next_step="run the same command again",
                )
            return
        verdict = judge(step.resource, found)
        if verdict.status == "running":
            return
        outcome = RolledBack(verdict.why, next_step=self._advice())
        for line in self.cloud.last_words(step.key):
            self.watch.note(f"  | {line}")
        if verdict.status == "stuck":
            raise _Stuck(outcome)
        if isinstance(step, Create) and found is not None and not self.keep_failed:
            self._undo(step)
        raise outcome

    def _advice(self) -> str:
        kept = "what failed was kept" if self.keep_failed else "what failed was removed, `--keep-failed` keeps it"
        return f"see `opsctl endpoint logs`, correct the cause and run it again; {kept}"

    def _take_back(self, done: Sequence[Step]) -> None:
        if self.keep_failed:
            return
        for step in reversed(done):
            self._undo(step)

    def _undo(self, step: Step) -> None:
        """Take one step back; what can't be is left for the next run, which sees it."""
        undo = step.undo
        if undo is None:
            return
        self.watch.note(f"undo: {told(undo)}")
        try:
            self._act(undo)
            if undo.key[0] in SLOW:
                self.settle(undo.key)
        except OpsctlError as exc:
            self.watch.note(f"undo failed, the next run will do it: {exc}")


def _parted(steps: Sequence[Step]) -> tuple[Sequence[Step], Sequence[Step]]:
    """The steps up to the last one that makes or changes something, and the removals after it; a deletion is whole."""
    makes = [number for number, step in enumerate(steps, start=1) if not isinstance(step, Remove)]
    return (steps[: makes[-1]], steps[makes[-1] :]) if makes else (steps, ())


class _Stuck(Exception):
    """An update that can't be finished nor taken back: both configs are in use, so nothing may be removed."""

    def __init__(self, outcome: RolledBack) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome
