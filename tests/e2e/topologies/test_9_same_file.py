"""One stack file, every topology: only the word `topology` was another."""

from __future__ import annotations

import pytest

from infra.topologies import TOPOLOGIES
from tests.e2e.topologies.conftest import Files


def test_the_stacks_of_this_folder_differ_in_their_topology_alone(files: Files) -> None:
    if len(files.seen) < 2:
        pytest.skip("fewer than two topologies were brought up in this run")
    assert files.seen.keys() <= TOPOLOGIES.keys()
    first, *others = files.seen.values()
    assert all(other == first for other in others)
