from __future__ import annotations

from tests.e2e.census import census
from tests.e2e.ecs_dev.cases import REGION
from tests.e2e.stack import Stack


def test_destroy_leaves_nothing(stack: Stack, before: set[tuple[str, str]]) -> None:
    stack.run("destroy", "--yes", "--skip-preview")
    assert census(REGION) - before == set()
