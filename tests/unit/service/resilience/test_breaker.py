from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from service.errors import (
    CircuitOpen,
    EndpointAsleep,
    StageUnavailable,
    Unreachable,
    UpstreamExhausted,
    UpstreamThrottled,
)
from service.resilience import Breaker, Breakers
from service.resilience.breaker import FAILURES, PROBE_S

DOWN = StageUnavailable("retrieval", "down")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock) -> Breaker:
    return Breaker("qdrant", stage="retrieval", slow_s=1.0, clock=clock)


def call(watched: Breaker, error: BaseException | None = None, *, clock: Clock | None = None, **how: Any) -> None:
    """One call of a second on `clock`."""
    with watched.watching(**how):
        if clock is not None:
            clock.now += 1.0
        if error is not None:
            raise error


def fail(watched: Breaker, times: int, error: BaseException = DOWN) -> None:
    for _ in range(times):
        with pytest.raises(type(error)):
            call(watched, error)


def test_after_five_failures_calls_are_refused_with_when_to_come_again() -> None:
    clock = Clock()
    watched = breaker(clock)
    fail(watched, FAILURES)
    clock.now += 1.5
    with pytest.raises(CircuitOpen, match="retrieval: qdrant failed 5 times in a row") as refused:
        call(watched)
    assert refused.value.retry_after_s == PROBE_S - 1.5


def test_a_success_between_failures_starts_the_count_again() -> None:
    watched = breaker(Clock())
    fail(watched, FAILURES - 1)
    call(watched)
    fail(watched, FAILURES - 1)
    assert watched.state == "closed"


def test_what_may_come_from_memory_does_not_start_the_count_again() -> None:
    watched = breaker(Clock())
    for _ in range(FAILURES):
        call(watched, proves=False)
        fail(watched, 1)
    assert watched.state == "open"


def test_one_probe_passes_after_the_pause_and_heals_it() -> None:
    clock = Clock()
    watched = breaker(clock)
    fail(watched, FAILURES)
    clock.now += PROBE_S
    with watched.watching():
        assert watched.state == "half-open"
        with pytest.raises(CircuitOpen):
            call(watched)
    assert watched.state == "closed"
    call(watched)


def test_a_probe_that_fails_opens_it_for_another_pause() -> None:
    clock = Clock()
    watched = breaker(clock)
    fail(watched, FAILURES)
    clock.now += PROBE_S
    fail(watched, 1)
    with pytest.raises(CircuitOpen):
        call(watched)
    clock.now += PROBE_S
    call(watched)
    assert watched.state == "closed"


def test_a_probe_that_its_caller_breaks_off_decides_nothing() -> None:
    clock = Clock()
    watched = breaker(clock)
    fail(watched, FAILURES)
    clock.now += PROBE_S
    fail(watched, 1, asyncio.CancelledError())
    assert watched.state == "open"
    clock.now += PROBE_S
    call(watched)
    assert watched.state == "closed"


def test_a_question_that_proves_nothing_is_no_probe() -> None:
    clock = Clock()
    watched = breaker(clock)
    fail(watched, FAILURES)
    with pytest.raises(CircuitOpen):
        call(watched, proves=False)
    clock.now += PROBE_S
    call(watched, proves=False)
    assert watched.state == "open"
    call(watched)
    assert watched.state == "closed"


@pytest.mark.parametrize(("slow_s", "state"), [(2.0, "closed"), (1.0, "open")])
def test_calls_that_were_broken_off_count_where_they_were_slow(slow_s: float, state: str) -> None:
    clock = Clock()
    watched = Breaker("qdrant", stage="retrieval", slow_s=slow_s, clock=clock)
    for _ in range(FAILURES):
        with pytest.raises(asyncio.CancelledError):
            call(watched, asyncio.CancelledError(), clock=clock)
    assert watched.state == state


def test_waiting_for_another_holder_of_a_lock_is_never_slow() -> None:
    clock = Clock()
    watched = breaker(clock)
    for _ in range(FAILURES):
        with pytest.raises(asyncio.CancelledError):
            call(watched, asyncio.CancelledError(), clock=clock, waits=True)
    assert watched.state == "closed"


@pytest.mark.parametrize("kind", [EndpointAsleep, UpstreamExhausted, UpstreamThrottled])
def test_an_answer_that_says_no_is_no_outage(kind: type[StageUnavailable]) -> None:
    watched = breaker(Clock())
    fail(watched, 2 * FAILURES, kind("generation", "not now"))
    assert watched.state == "closed"


def test_a_backend_that_can_not_be_reached_is_one() -> None:
    watched = breaker(Clock())
    fail(watched, FAILURES, Unreachable("retrieval", "refused"))
    assert watched.state == "open"


def test_changes_are_told_with_the_name() -> None:
    told: list[tuple[str, str]] = []
    breakers = Breakers()
    watched = breakers.add("redis", stage="cache", limit_s=1.0)
    breakers.on_change(lambda name, state: told.append((name, state)))
    fail(watched, FAILURES)
    assert told == [("redis", "closed"), ("redis", "open")]
    assert list(breakers) == ["redis"]
