"""Moves the requests of a function to the version that was asked for, where the stack does it bit by bit.

The engine publishes the version and leaves the alias where it is: without this, nothing of a deployment would arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from opsctl.errors import NotUsable, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 5.0


@dataclass(frozen=True, slots=True)
class Shift:
    """One move of the alias.

    Attributes:
        id: its name at the platform.
        target: the version that it moves the requests to; None where that isn't known.
        going_on: whether it has not ended yet.
        undone: why it was given up; None where it was not.
    """

    id: str
    target: str | None
    going_on: bool
    undone: str | None


class Shifts(Protocol):
    """Who moves the alias."""

    def newest(self) -> Shift | None:
        """The last one that was tried; None where there was none yet."""
        ...

    def start(self, function: str, alias: str, current: str, target: str, *, at_once: bool) -> str:
        """Begin one, in the stack's own pace or `at_once`; returns its id."""
        ...

    def stop(self, shift: str) -> None:
        """Give one up; the requests go back to the version before."""
        ...


Step = Literal["nothing", "wait", "start", "stop, then start"]


def plan(*, answers: str, wanted: str, newest: Shift | None, hurried: bool) -> Step:
    """What to do so that version `wanted` gets the requests which `answers` gets now.

    Raises:
        NotUsable: another version is on its way, and this is no way back.
    """
    going_on = newest is not None and newest.going_on
    if newest is not None and going_on and newest.target == wanted:
        return "wait"
    if newest is not None and going_on:
        if hurried:
            return "stop, then start"
        raise NotUsable(
            f"version {newest.target} is being rolled out ({newest.id})",
            next_step="wait until it has ended and deploy again, or go back: `opsctl rollback`",
        )
    return "nothing" if answers == wanted else "start"


@dataclass(frozen=True, slots=True)
class Mover:
    """Moves one alias.

    Attributes:
        answers: gives the version that answers now.
    """

    shifts: Shifts
    function: str
    alias: str
    answers: Callable[[], str]

    def move(self, wanted: str, *, hurried: bool, limit_s: float, poll_s: float = POLL_S) -> Step:
        """Begin what has to be begun; whoever asks the platform afterwards sees how it goes.

        Raises:
            NotUsable, TimedOut, CloudRefused
        """
        newest, answers = self.shifts.newest(), self.answers()
        step = plan(answers=answers, wanted=wanted, newest=newest, hurried=hurried)
        if step == "stop, then start" and newest is not None:
            self.shifts.stop(newest.id)
            self._ended(limit_s, poll_s)
            answers = self.answers()
        if "start" in step and answers != wanted:
            self.shifts.start(self.function, self.alias, answers, wanted, at_once=hurried)
        return step

    def _ended(self, limit_s: float, poll_s: float) -> None:
        """Wait until nothing moves: what was stopped is moved back first."""
        polling = Retrying(
            stop=stop_after_delay(limit_s),
            wait=wait_fixed(poll_s),
            retry=retry_if_result(lambda newest: newest is not None and newest.going_on),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        newest: Shift | None = polling(self.shifts.newest)
        if newest is not None and newest.going_on:
            raise TimedOut(
                f"the rollout {newest.id} does not end after {limit_s:g} s", next_step="run the same command again"
            )
