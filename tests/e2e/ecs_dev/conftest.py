from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.census import census
from tests.e2e.ecs_dev.cases import REGION
from tests.e2e.stack import Stack


@pytest.fixture(scope="package")
def before() -> set[tuple[str, str]]:
    return census(REGION)


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, before: set[tuple[str, str]]) -> Iterator[Stack]:
    """One stack for all modules of this folder, which run in the order of their names."""
    made = Stack("dev-e2e", tmp_path_factory.mktemp("dev"))
    made.create("dev")
    yield made
    if made.resources():  # a test failed on the way
        made.run("destroy", "--yes", "--skip-preview", check=False)
