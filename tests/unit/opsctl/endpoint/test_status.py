from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from opsctl.cost.catalog import Price
from opsctl.endpoint.copies import Copies
from opsctl.endpoint.journal import Attempt, Journal, Release
from opsctl.endpoint.status import Observed, Status
from tests.unit.opsctl.endpoint.specs import ASLEEP, CLASSIC

PRICE = Price(unit="hour", usd=Decimal("1.58"), as_of=date(2026, 1, 22), confidence="C", source="a test")
RELEASED = Journal(releases=(Release(CLASSIC, "2026-11-26T00:00:00+00:00", "ada@host"),))
GOOD = Observed("InService", None, "twin-1", 1, 1, None, {"twin-endpoint-5xx": "OK"}, 12, Decimal("24.5"))
SLEEPING = replace(GOOD, instances=0, wanted_instances=0, copies=Copies("InService", 0, 0), requests=0)


def status(observed: Observed = GOOD, journal: Journal = RELEASED, spec: Any = CLASSIC, price: Any = PRICE) -> Status:
    return Status(spec, observed, journal, "twin-1", price)


@pytest.mark.parametrize(("observed", "spec"), [(GOOD, CLASSIC), (SLEEPING, ASLEEP)])
def test_what_serves_or_sleeps_as_released_is_healthy_and_warns_of_nothing(observed: Observed, spec: Any) -> None:
    assert status(observed, spec=spec).healthy
    assert status(observed, spec=spec).warnings == ()


def test_the_month_is_instance_hours_at_list_price() -> None:
    assert status().month_usd == Decimal("38.710")
    assert status(price=None).month_usd is None
    assert status(replace(GOOD, instance_hours=None)).month_usd is None


@pytest.mark.parametrize(
    ("changed", "healthy", "said"),
    [
        ({"status": None}, False, "no endpoint, though one was released; `opsctl deploy-endpoint`"),
        ({"status": "Failed", "reason": "ping"}, False, "is Failed: ping; `opsctl endpoint logs`"),
        ({"config": "twin-0"}, False, "runs twin-0, twin-1 was released"),
        ({"alarms": {"twin-endpoint-5xx": "ALARM"}}, False, "alarm twin-endpoint-5xx rings"),
        ({"requests": 0}, True, "nobody asked for 24 h, 1 instances run at 1.58 USD an hour; `pulumi config set"),
    ],
)
def test_a_warning_says_what_to_do(changed: dict[str, Any], healthy: bool, said: str) -> None:  # noqa: FBT001
    found = status(replace(GOOD, **changed))
    assert found.healthy is healthy
    (warning,) = found.warnings
    assert said in warning


def test_a_failed_component_shows_through_an_endpoint_in_service() -> None:
    found = status(replace(SLEEPING, copies=Copies("Failed", 0, 1, "no GPU is free")), spec=ASLEEP)
    assert not found.healthy
    assert found.warnings == (
        "the model's component is Failed: no GPU is free; `opsctl endpoint logs`, then `opsctl deploy-endpoint`",
    )
    assert status(replace(SLEEPING, copies=Copies("Updating", 0, 1)), spec=ASLEEP).healthy


def test_the_alarm_that_wakes_is_meant_to_ring() -> None:
    found = status(replace(SLEEPING, alarms={"twin-endpoint-no-capacity": "ALARM"}), spec=ASLEEP)
    assert found.healthy
    assert not found.warnings


def test_an_idle_instance_of_a_sleeper_is_told_apart() -> None:
    (warning,) = status(replace(SLEEPING, instances=1), spec=ASLEEP).warnings
    assert "it should have gone to sleep" in warning


def test_an_unfinished_and_a_failed_change_are_told() -> None:
    attempt = Attempt("deploy", CLASSIC, "2026-11-26T00:00:00+00:00", "ada@host", ())
    assert "left unfinished" in status(journal=replace(RELEASED, attempt=attempt)).warnings[0]
    assert "taken back: no GPU" in status(journal=replace(RELEASED, failure="no GPU")).warnings[0]
