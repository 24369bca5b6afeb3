from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsctl.errors import NotUsable
from opsctl.load.schedule import Phase, Schedule, load_schedule, steady

RATES = st.floats(0, 200)
PHASES = st.lists(
    st.tuples(RATES, st.none() | RATES, st.floats(0.1, 20)).map(
        lambda drawn: Phase(per_s=drawn[0], from_per_s=drawn[1], seconds=drawn[2])
    ),
    min_size=1,
    max_size=4,
).filter(lambda phases: 1 <= sum(phase.expected for phase in phases) <= 3000)


@given(PHASES)
def test_even_arrivals_are_as_many_as_expected_in_order_and_within_the_schedule(phases: list[Phase]) -> None:
    schedule = Schedule(phases=tuple(phases), arrivals="even")
    times = list(schedule.times())
    assert abs(len(times) - schedule.expected) <= 1
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= schedule.seconds + 1e-6


@given(PHASES, st.integers(0, 100))
def test_poisson_arrivals_are_in_order_within_the_schedule_and_the_same_for_the_same_seed(
    phases: list[Phase], seed: int
) -> None:
    schedule = Schedule(phases=tuple(phases), seed=seed)
    times = list(schedule.times())
    assert times == sorted(times)
    assert all(0 <= time <= schedule.seconds + 1e-6 for time in times)
    assert times == list(schedule.times())


def test_even_arrivals_of_one_rate_are_equally_spaced() -> None:
    times = list(steady(10, 2, arrivals="even").times())
    assert times == pytest.approx([0.05 + 0.1 * n for n in range(20)])


def test_poisson_gaps_are_exponential() -> None:
    gaps = [later - earlier for earlier, later in pairwise(steady(100, 200, seed=1).times())]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(0.01, rel=0.03)
    assert variance**0.5 == pytest.approx(mean, rel=0.03)  # what tells an exponential from even spacing


def test_a_ramp_sends_a_quarter_of_its_requests_in_its_first_half() -> None:
    ramp = Schedule(phases=(Phase(name="ramp", from_per_s=0, per_s=100, seconds=10),), arrivals="even")
    times = list(ramp.times())
    assert len(times) == 500
    assert sum(time < 5 for time in times) == 125


def test_a_falling_ramp_ends_where_it_should() -> None:
    fall = Phase(name="ramp", from_per_s=100, per_s=0, seconds=10)
    assert fall.time_of(fall.expected) == pytest.approx(10)


def test_each_phase_has_its_own_rate() -> None:
    schedule = Schedule(
        phases=(
            Phase(name="step", per_s=10, seconds=2),
            Phase(name="spike", per_s=200, seconds=0.5),
            Phase(name="soak", per_s=10, seconds=2),
        ),
        arrivals="even",
    )
    times = list(schedule.times())
    assert [sum(low <= time < high for time in times) for low, high in ((0, 2), (2, 2.5), (2.5, 4.5))] == [20, 100, 20]


def test_a_phase_without_requests_is_a_pause() -> None:
    schedule = Schedule(phases=(Phase(per_s=0, seconds=3), Phase(per_s=10, seconds=1)), arrivals="even")
    assert min(schedule.times()) >= 3


def test_a_schedule_is_read_from_yaml(tmp_path: Path) -> None:
    file = tmp_path / "spike.yaml"
    file.write_text("""
arrivals: even
seed: 7
phases:
  - {name: ramp, fromPerS: 1, perS: 50, seconds: 30}
  - {name: spike, perS: 500, seconds: 5}
""")
    read = load_schedule(file)
    assert [phase.name for phase in read.phases] == ["ramp", "spike"]
    assert read.expected == pytest.approx(30 * 25.5 + 2500)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("phases: []", "phases"),
        ("phases: [{perS: 1}]", "phases.0.seconds"),
        ("phases: [{perS: -1, seconds: 1}]", "phases.0.perS"),
        ("phases: [{perS: .nan, seconds: 1}]", "phases.0.perS"),
        ("phases: [{perS: .inf, seconds: 1}]", "phases.0.perS"),
        ("phases: [{perS: 1, seconds: 1, rate: 3}]", "phases.0.rate"),
        ("phases: [{perS: 1, seconds: 1}]\narrivals: weekly", "arrivals"),
        ("phases: [{perS: 9000, seconds: 9000}]", "1000000 are allowed"),
        ("phases: [{perS: 1, seconds: 9000}, {perS: 1, seconds: 9000}]", "the most is 14400 s"),
        ("phases: [{perS: 0.1, seconds: 1}]", "expects 0.1 requests"),
        ("just words", "schedule"),
        ("{", "readable YAML"),
    ],
)
def test_a_schedule_that_is_none_or_beyond_the_caps_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "schedule.yaml"
    file.write_text(text)
    with pytest.raises(NotUsable, match=said):
        load_schedule(file)
