"""`opsctl deploy` in an account that is asked too much; nobody else asks it meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e import outcomes
from tests.e2e.ecs_dev.cases import running_task

if TYPE_CHECKING:
    from tests.e2e.stack import Stack


def test_a_throttled_verdict(stack: Stack) -> None:
    outcomes.is_throttled(stack, "ecs", "DescribeServices", lambda: running_task(stack))


def test_a_throttled_update(stack: Stack) -> None:
    outcomes.is_throttled_in_its_update(stack, lambda: running_task(stack))
