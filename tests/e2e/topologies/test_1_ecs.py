"""The same stack file on ECS: planned here, brought up and down in `tests/e2e/ecs_dev`."""

from __future__ import annotations

from tests.e2e.stack import Stack

TOPOLOGY = "ecs"


def test_the_same_file_is_planned_as_a_service_of_ecs(stack: Stack) -> None:
    steps = stack.plan().steps
    assert {op for op, _, _ in steps} == {"create"}
    kinds = {kind for _, kind, _ in steps}
    assert "aws:ecs/service:Service" in kinds
    assert not [kind for kind in kinds if kind.startswith("kubernetes:")]
