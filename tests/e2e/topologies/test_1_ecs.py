"""The same stack file on ECS, up and down; what else it is put through is in `tests/e2e/ecs_dev`."""

from __future__ import annotations

from tests.e2e.census import census
from tests.e2e.stack import Stack
from tests.e2e.topologies.conftest import REGION

TOPOLOGY = "ecs"


def test_the_same_file_comes_up_as_a_service_of_ecs(stack: Stack) -> None:
    stack.up()
    assert stack.outputs()["topology"] == TOPOLOGY
    kinds = {each.rpartition("::")[0].rpartition("::")[2].rpartition("$")[2] for each in stack.resources()}
    assert "aws:ecs/service:Service" in kinds
    assert not [kind for kind in kinds if kind.startswith("kubernetes:")]


def test_destroy_leaves_nothing(stack: Stack, before: set[tuple[str, str]]) -> None:
    stack.run("destroy", "--yes", "--skip-preview")
    assert census(REGION) - before == set()
