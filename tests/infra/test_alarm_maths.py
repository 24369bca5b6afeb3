"""What rings on recorded numbers, and what does not: bursts, quiet nights, a dead balancer, a stack that sleeps."""

from __future__ import annotations

from typing import Any

import pytest

from infra.components.observability.alarm import Alarm
from tests.infra.metric_math import Values, rings, series
from tests.infra.test_observability import alarms

NONE: Values = (None,) * 3
NOTHING: Values = (None,) * 26


def alarm(name: str) -> Alarm:
    (found,) = [each for each in alarms() if each.name == name]
    assert isinstance(found, Alarm)
    return found


CASES: list[tuple[str, str, dict[str, Any], bool]] = [
    ("a good hour", "errors", {"requests": (100, 120, 90), "failed": (0, 1, 0), "rejected": NONE}, False),
    ("6 % fail", "errors", {"requests": (100, 100, 100), "failed": (6, 6, 0), "rejected": NONE}, True),
    ("5 % are allowed", "errors", {"requests": (100, 100, 100), "failed": (5, 5, 5), "rejected": NONE}, False),
    ("one minute alone", "errors", {"requests": (100, 100, 100), "failed": (0, 50, 0), "rejected": NONE}, False),
    (
        "one failure at night is no rate",
        "errors",
        {"requests": (1, 1, 1), "failed": (1, 1, 1), "rejected": NONE},
        False,
    ),
    ("a quiet night", "errors", {"requests": NONE, "failed": NONE, "rejected": NONE}, False),
    ("no target is left", "errors", {"requests": NONE, "failed": NONE, "rejected": (40, 35, 50)}, True),
    ("slow", "latency", {"value": (9, 11, 12)}, True),
    ("nobody asked", "latency", {"value": NONE}, False),
    ("an hour without requests", "no-traffic", {"requests": (0,), "wanted": (2,)}, True),
    ("no word of the service", "no-traffic", {"requests": (None,), "wanted": (None,)}, True),
    ("asleep by its schedule", "no-traffic", {"requests": (None,), "wanted": (0,)}, False),
    ("traffic", "no-traffic", {"requests": (12,), "wanted": (2,)}, False),
    ("half of the answers without a stage", "degraded", {"requests": (10,) * 3, "part": (5,) * 3}, True),
    ("one of two", "degraded", {"requests": (2,) * 3, "part": (1,) * 3}, False),
    ("the model fails", "endpoint-failing", {"calls": (10,) * 5, "failures": (0, 0, 9, 9, 9)}, True),
    ("the model is asked by nobody", "endpoint-failing", {"calls": (None,) * 5, "failures": (None,) * 5}, False),
    ("runs and nobody asks", "endpoint-idle", {"instances": (360,), "calls": (None,)}, True),
    ("runs and one asked", "endpoint-idle", {"instances": (360,), "calls": (1,)}, False),
    ("isn't there", "endpoint-idle", {"instances": (None,), "calls": (None,)}, False),
    ("refused now and then", "saturated", {"value": (0, 3, 0, 0, 0)}, False),
    ("refused again and again", "saturated", {"value": (3, 3, 0, 4, 0)}, True),
    ("OpenAI refuses", "openai-limited", {"asked": (1, None, 2, 1, None), "generated": (None,) * 5}, True),
    ("saved a night and a day ago", "backup-missed-mongo", {"finished": (1, *NOTHING[1:])}, False),
    ("not saved for 26 hours", "backup-missed-mongo", {"finished": NOTHING}, True),
    ("ends soon", "certificate", {"value": (20,)}, True),
    ("was renewed", "certificate", {"value": (180,)}, False),
    ("one failed look", "unavailable", {"available": (1, 0, 1), "wanted": (2, 2, 2)}, False),
    ("down", "unavailable", {"available": (1, 0, 0), "wanted": (2, 2, 2)}, True),
    ("down by its schedule", "unavailable", {"available": (0, 0, 0), "wanted": (0, 0, 0)}, False),
    ("the canary died", "canary-silent", {"value": (None,)}, True),
    ("10 % fail for an hour", "burn-fast-long", {"requests": (1000,), "failed": (100,), "rejected": (None,)}, True),
    ("5 % fail for an hour", "burn-fast-long", {"requests": (1000,), "failed": (50,), "rejected": (None,)}, False),
    ("5 % fail for six hours", "burn-slow-long", {"requests": (6000,), "failed": (300,), "rejected": (None,)}, True),
    ("a twentieth is too slow", "slow-answers", {"value": (10_001,)}, True),
    ("an hour within the promise", "slow-answers", {"value": (9_000,)}, False),
    ("the guide's 50 USD an hour", "hourly-cost", {"value": (50, 50, 50)}, True),
    ("an hour of the production stack", "hourly-cost", {"value": (2.05, 2.05, 2.05)}, False),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case[1]}: {case[0]}" for case in CASES])
def test_what_rings_on_recorded_numbers(case: tuple[str, str, dict[str, Values], bool]) -> None:
    said, name, recorded, expected = case
    assert rings(alarm(name), recorded) is expected, said


def test_a_rate_is_of_all_that_callers_got() -> None:
    recorded = {"requests": (90.0,), "failed": (5.0,), "rejected": (10.0,)}
    assert series(alarm("errors"), recorded) == [100 * 15 / 100]
