from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from opsctl.load.capacity import CLOSE, Capacity, advice, document, find
from opsctl.load.limits import Promise
from opsctl.load.outcome import Outcome
from opsctl.load.record import Record, Sample

PROMISE = Promise(failed_percent=1, p95_s=1)


def service(capacity_per_s: float, asked: list[float] | None = None) -> Callable[[float], Record]:
    """Answers in time up to its capacity, and refuses what is beyond it."""

    def run(per_s: float) -> Record:
        if asked is not None:
            asked.append(per_s)
        record = Record.lasting(10)
        for number in range(round(per_s * 100)):
            beyond = per_s > capacity_per_s and number % 10 == 0
            record.add(Sample(Outcome.OVERLOADED if beyond else Outcome.OK, 0.0, 0.2, usd=Decimal("0.001")))
        record.wall_s = 100.0
        return record

    return run


@pytest.mark.parametrize("capacity", [0.9, 5, 17, 36.5, 150])
def test_the_capacity_is_found_to_a_tenth(capacity: float) -> None:
    found = find(service(capacity), PROMISE, first=5, highest=400, replicas=1)
    assert found.bounded
    assert capacity / CLOSE <= found.per_s <= capacity


def test_nothing_above_the_highest_rate_is_tried_and_the_report_says_at_least() -> None:
    asked: list[float] = []
    found = find(service(1000, asked), PROMISE, first=5, highest=30, replicas=2)
    assert max(asked) == 30
    assert (found.per_s, found.bounded) == (30, False)
    assert advice(found)[0] == "at least 30.0 requests/s keep the promise, at least 15.0 on each of 2 replicas"


def test_a_service_that_keeps_it_at_no_rate_is_told_after_few_steps() -> None:
    asked: list[float] = []
    found = find(service(0, asked), PROMISE, first=8, highest=400, replicas=1)
    assert found.per_s == 0
    assert asked == [8, 4, 2, 1]
    assert advice(found)[0].startswith("no rate kept the promise")


def test_a_search_that_is_stopped_reports_what_it_has() -> None:
    good = service(100)

    def capped(per_s: float) -> Record:
        record = good(per_s)
        record.stopped = "the cap" if per_s > 10 else None
        return record

    found = find(capped, PROMISE, first=5, highest=400, replicas=1)
    assert (found.per_s, found.stopped) == (10, "the cap")
    assert "the search stopped early: the cap" in advice(found)


def test_a_rate_that_the_cap_cut_short_is_neither_held_nor_broken() -> None:
    good = service(100)

    def capped(per_s: float) -> Record:
        if per_s <= 10:
            return good(per_s)
        return Record(window_s=1.0, stopped="the cap", spent_out=True)

    found = find(capped, PROMISE, first=5, highest=400, replicas=1)
    assert (found.per_s, found.bounded, found.stopped) == (10, False, "the cap")
    assert [step.verdict for step in found.steps] == ["ok", "ok", "stopped"]
    nothing = find(capped, PROMISE, first=20, highest=400, replicas=1)
    assert advice(nothing) == ["the search stopped before any rate had held: the cap"]


def test_a_run_that_is_stopped_since_too_much_failed_is_a_rate_that_broke() -> None:
    good = service(5)

    def failing(per_s: float) -> Record:
        record = good(per_s)
        record.stopped = "too much failed" if per_s > 5 else None
        return record

    found = find(failing, PROMISE, first=4, highest=400, replicas=1)
    assert (found.bounded, found.stopped) == (True, None)


def test_what_follows_is_a_setting_with_headroom_and_a_figure_of_the_cost_report() -> None:
    found = Capacity(20.0, bounded=True, replicas=2, steps=())
    assert found.requests_per_minute == 420
    lines = advice(found)
    assert lines[1] == "scale out at 70% of that: pulumi config set --path scaling.requestsPerMinute 420"
    assert lines[2].endswith("--set requests_per_minute_per_replica=600")
    said = document(found, PROMISE)
    assert said["scaling"] == {"requestsPerMinute": 420}
    assert said["promise"] == {"p95Seconds": 1, "errorBudgetPercent": 1}
