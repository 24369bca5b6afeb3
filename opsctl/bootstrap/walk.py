"""Steps that are done once, in order: what was done before is left alone, what fails ends the walk."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from opsctl.errors import OpsctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        done: what shows that it was done before; None where it has to be done. Asked when its turn comes.
        work: does it, and says what came of it.
    """

    name: str
    done: Callable[[], str | None]
    work: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Walked:
    """How a step went.

    Attributes:
        seconds: that it took, the waiting for an answer at the terminal included; None where it was done before.
    """

    name: str
    state: Literal["done", "done before", "failed"]
    said: str
    seconds: float | None = None


@dataclass(slots=True)
class Walk:
    """All that were come to.

    Attributes:
        error: what ended it.
    """

    steps: list[Walked] = field(default_factory=list)
    error: OpsctlError | None = None

    @property
    def seconds(self) -> float:
        """Of this walk."""
        return sum(step.seconds or 0.0 for step in self.steps)


def walk(steps: Sequence[Step], talk: Console, clock: Callable[[], float] = time.monotonic) -> Walk:
    """Go through the steps; the first that fails is the walk's `error`."""
    gone = Walk()
    for number, step in enumerate(steps, 1):
        began = clock()
        try:
            if (before := step.done()) is not None:
                gone.steps.append(Walked(step.name, "done before", before))
                continue
            talk.print(f"step {number} of {len(steps)}: {step.name}")
            said = step.work()
        except OpsctlError as exc:
            gone.steps.append(Walked(step.name, "failed", exc.problem, clock() - began))
            gone.error = exc
            return gone
        gone.steps.append(Walked(step.name, "done", said, clock() - began))
    return gone
