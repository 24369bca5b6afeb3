"""Edits of the stack file: what each would change; a deployment of some is broken off, and finished by the next."""

from __future__ import annotations

import pytest

from tests.e2e import outcomes
from tests.e2e.ecs_dev.cases import EDITS, HOLDS_DATA, THIRD_ZONE, short
from tests.e2e.stack import Stack, Step


@pytest.fixture(scope="module")
def planned(stack: Stack) -> dict[str, set[Step]]:
    """What the engine would do for each edit alone."""
    edits = {**{name: values for name, (values, _) in EDITS.items()}, "network": THIRD_ZONE}
    return {edit: short(plan.steps) for edit, plan in stack.what_ifs(edits).items()}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_only_what_it_should(planned: dict[str, set[Step]], edit: str) -> None:
    assert planned[edit]
    assert planned[edit] <= EDITS[edit][1]


def test_a_third_zone_is_added_without_replacing_anything_that_holds_data(planned: dict[str, set[Step]]) -> None:
    steps = planned["network"]
    assert {name for op, _, name in steps if op == "create"} == {"public-2", "private-2"}
    assert {op for op, _, _ in steps} == {"create", "update"}
    assert not [kind for op, kind, _ in steps if op != "update" and kind in HOLDS_DATA]


def test_a_deployment_that_is_broken_off_is_finished_by_the_next_one(stack: Stack) -> None:
    edits = {"monitoring.errorRatePercent": 4, "monitoring.p95Seconds": 8, "monitoring.logRetentionDays": 90}
    outcomes.is_broken_off_and_finished_by_the_same_command(stack, {**edits, "budget.monthlyUsd": 400})
