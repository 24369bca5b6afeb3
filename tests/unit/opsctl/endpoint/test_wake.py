from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, repeat

import pytest

from opsctl.endpoint.copies import Copies, wake
from opsctl.endpoint.execute import Pace
from opsctl.errors import CloudRefused, TimedOut

ASLEEP, COMING = Copies("InService", 0, 0), Copies("Updating", 0, 1)
AWAKE, FAILED = Copies("InService", 1, 1), Copies("Failed", 0, 1, "no GPU is free")


@dataclass
class Component:
    """A component that goes from state to state, one a look, and stays in the last."""

    states: tuple[Copies, ...]
    wanted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._coming = chain(self.states, repeat(self.states[-1]))

    def copies(self) -> Copies:
        return next(self._coming)

    def want(self, count: int) -> None:
        self.wanted.append(count)


class Silent:
    def step(self, number: int, total: int, what: str) -> None: ...
    def waiting(self, what: str, elapsed_s: float) -> None: ...
    def note(self, text: str) -> None: ...


@pytest.mark.parametrize(
    ("states", "wanted", "woken"),
    [
        ((ASLEEP, COMING, COMING, AWAKE), [1], True),
        ((COMING, COMING, AWAKE), [], True),  # a request was faster
        ((AWAKE,), [], False),
        ((ASLEEP, ASLEEP, COMING, AWAKE), [1], True),  # AWS shows the change late
    ],
)
def test_a_copy_is_asked_for_once_and_only_by_a_sleeper(
    states: tuple[Copies, ...],
    wanted: list[int],
    woken: bool,  # noqa: FBT001
) -> None:
    component = Component(states)
    assert wake(component, Silent(), Pace(60, 0.001)) is woken
    assert component.wanted == wanted


def test_a_run_that_does_not_wait_leaves_once_it_has_asked() -> None:
    component = Component((ASLEEP, COMING))
    assert wake(component, Silent(), Pace(60, 0.001, wait=False))
    assert component.wanted == [1]


def test_a_copy_that_can_not_start_says_why() -> None:
    with pytest.raises(CloudRefused, match="no GPU is free"):
        wake(Component((ASLEEP, COMING, FAILED)), Silent(), Pace(60, 0.001))


def test_a_copy_that_does_not_come_in_time_may_still_come() -> None:
    with pytest.raises(TimedOut, match="run it again"):
        wake(Component((ASLEEP, COMING)), Silent(), Pace(0.02, 0.001))
