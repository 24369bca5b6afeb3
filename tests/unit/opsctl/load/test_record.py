from __future__ import annotations

import pytest

from opsctl.load.outcome import GOOD, Ending, Outcome, of_answer, of_problem
from opsctl.load.record import MAX_WINDOWS, Latencies, Record, Sample


def test_percentiles_are_good_to_three_digits_from_microseconds_to_minutes() -> None:
    seen = Latencies()
    for n in range(1, 1001):
        seen.add(n / 1000)
    assert seen.percentile_ms(50) == pytest.approx(500, rel=0.002)
    assert seen.percentile_ms(99) == pytest.approx(990, rel=0.002)
    assert seen.max_ms() == pytest.approx(1000, rel=0.002)
    assert seen.mean_ms() == pytest.approx(500.5, rel=0.002)


def test_what_is_beyond_the_histogram_is_counted_at_its_end() -> None:
    seen = Latencies()
    seen.add(10_000)
    seen.add(-1)
    assert (seen.count, seen.max_ms()) == (2, pytest.approx(600_000, rel=0.002))


def test_nothing_seen_has_no_percentile() -> None:
    assert Latencies().percentile_ms(99) == 0


def test_a_request_is_counted_in_total_by_key_and_in_its_window() -> None:
    record = Record.lasting(10)
    record.add(Sample(Outcome.OK, 0.2, 0.1, key="a"))
    record.add(Sample(Outcome.DEGRADED, 3.7, 0.2, key="b", cached=True, first_token_s=0.05))
    record.add(Sample(Outcome.OVERLOADED, 3.9, 0.01, key="b"))
    assert (record.total.count(), record.total.count(GOOD)) == (3, 2)
    assert record.keys["b"].count({Outcome.OVERLOADED}) == 1
    assert sorted(record.windows) == [0, 3]
    assert record.windows[3].of(GOOD).percentile_ms(95) == pytest.approx(200, rel=0.02)
    assert (record.cached, record.first_token.count) == (1, 1)


def test_what_was_never_sent_says_nothing_about_the_drivers_lag() -> None:
    record = Record.lasting(10)
    record.add(Sample(Outcome.UNSENT, 0.1, 0))
    assert (record.lag.count, record.total.count({Outcome.UNSENT})) == (0, 1)


def test_a_long_run_has_no_more_windows_than_a_short_one() -> None:
    assert Record.lasting(14_400).window_s * MAX_WINDOWS == 14_400


@pytest.mark.parametrize(
    ("status", "problem", "outcome"),
    [
        (429, {"title": "Too many requests"}, Outcome.RATE_LIMITED),
        (503, {"title": "Too many requests in flight"}, Outcome.OVERLOADED),
        (503, None, Outcome.OVERLOADED),
        (503, {"title": "Stage unavailable", "stage": "retrieval"}, Outcome.UNAVAILABLE),
        (500, {"stage": "retrieval"}, Outcome.OTHER),
        (302, None, Outcome.OTHER),
    ],
)
def test_a_refusal_is_told_from_a_stage_that_failed(status: int, problem: object, outcome: Outcome) -> None:
    assert of_problem(status, problem) is outcome


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ({"answer": "x", "degraded": []}, Ending(Outcome.OK)),
        ({"answer": "x", "degraded": ["cache"]}, Ending(Outcome.DEGRADED)),
        ({"answer": "x", "cached": True}, Ending(Outcome.OK, cached=True)),
        ([], Ending(Outcome.OK)),
    ],
)
def test_an_answer_says_itself_whether_it_is_whole_and_kept(body: object, ending: Ending) -> None:
    assert of_answer(body) == ending
