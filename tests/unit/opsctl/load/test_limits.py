from __future__ import annotations

from decimal import Decimal

import pytest

from opsctl.load.limits import Limits, Promise
from opsctl.load.outcome import Outcome
from opsctl.load.record import Record, Sample


def record(*samples: Sample, seconds: float = 60) -> Record:
    made = Record.lasting(seconds)
    for sample in samples:
        made.add(sample)
    return made


def samples(outcome: Outcome, count: int, at_s: float = 0.0, **more: object) -> list[Sample]:
    return [Sample(outcome, at_s, 0.1, **more) for _ in range(count)]  # type: ignore[arg-type]


def test_a_run_goes_on_while_too_little_is_known() -> None:
    assert Limits(failed_percent=50).broken(record(*samples(Outcome.OTHER, 49))) is None


def test_a_run_ends_at_the_share_of_failures_and_not_below_it() -> None:
    half = record(*samples(Outcome.OTHER, 25), *samples(Outcome.OK, 25))
    assert Limits(failed_percent=50).broken(half) == "25 of the last 50 requests failed"
    assert Limits(failed_percent=51).broken(half) is None
    assert Limits().broken(half) is None


def test_only_the_last_ten_seconds_count() -> None:
    bad_start = [*samples(Outcome.OTHER, 500, 0.0), *samples(Outcome.OK, 60, 15.0)]
    assert Limits(failed_percent=50).broken(record(*bad_start)) is None
    bad_end = [*samples(Outcome.OK, 5000, 0.0), *samples(Outcome.TIMEOUT, 60, 15.0)]
    assert Limits(failed_percent=50).broken(record(*bad_end)) == "60 of the last 60 requests failed"


def test_the_spending_cap_counts_what_the_answers_say_that_they_cost() -> None:
    spent = record(*samples(Outcome.OK, 3, usd=Decimal("0.4")))
    assert Limits(usd=Decimal("1.3")).broken(spent) is None
    assert Limits(usd=Decimal("1.2")).broken(spent) == "the answers cost 1.2 USD, the cap is 1.2"


def test_one_cap_is_for_several_runs() -> None:
    spent = record(*samples(Outcome.OK, 3, usd=Decimal("0.4")))
    assert Limits(usd=Decimal(2), spent_usd=Decimal("0.7")).broken(spent) is None
    said = "the answers cost 2.0 USD, the cap is 2"
    assert Limits(usd=Decimal(2), spent_usd=Decimal("0.8")).broken(spent) == said
    assert Limits(usd=Decimal(2), spent_usd=Decimal("0.8")).unaffordable(spent) == said


def test_a_cap_that_can_not_be_kept_ends_the_run_at_once() -> None:
    silent = record(*samples(Outcome.OK, 1))
    assert "did not say what it cost" in str(Limits(usd=Decimal(1)).broken(silent))
    assert Limits().broken(silent) is None
    assert Limits(usd=Decimal(1)).broken(record(*samples(Outcome.RATE_LIMITED, 9))) is None


@pytest.mark.parametrize(
    ("promise", "said"),
    [
        (Promise(1), []),
        (Promise(0.9), ["1.00 % failed, the error budget is 0.9 %"]),
        (Promise(1, p95_s=0.2), []),
        (Promise(1, p95_s=0.05), ["p95 is 0.10 s, promised are 0.05 s"]),
    ],
)
def test_a_promise_is_judged_when_the_run_has_ended(promise: Promise, said: list[str]) -> None:
    assert promise.broken(record(*samples(Outcome.OK, 99), *samples(Outcome.CUT, 1))) == said


@pytest.mark.parametrize("promise", [Promise(100), Promise(1, p95_s=10)])
def test_a_run_without_a_good_answer_kept_no_promise(promise: Promise) -> None:
    assert promise.broken(record(*samples(Outcome.CUT, 3))) == ["not one of 3 requests was answered well"]
    assert promise.broken(record()) == ["no request was sent"]


def test_a_refusal_by_a_limit_counts_as_a_failure() -> None:
    for refusal in (Outcome.RATE_LIMITED, Outcome.OVERLOADED):
        refused = record(*samples(Outcome.OK, 90), *samples(refusal, 10))
        assert Promise(1).broken(refused) == ["10.00 % failed, the error budget is 1 %"]
