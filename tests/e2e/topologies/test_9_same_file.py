"""One stack file, every topology: only the word `topology` was another."""

from __future__ import annotations

import pytest

from infra.topologies import TOPOLOGIES
from tests.e2e.topologies.conftest import Files


def test_the_stacks_of_this_folder_differ_in_their_topology_alone(files: Files, request: pytest.FixtureRequest) -> None:
    collected = {
        getattr(item.module, "TOPOLOGY", None) for item in request.session.items if isinstance(item, pytest.Function)
    }
    if not TOPOLOGIES.keys() <= collected:
        pytest.skip("only a part of this folder is run")
    assert files.seen.keys() == TOPOLOGIES.keys()
    first, *others = files.seen.values()
    assert all(other == first for other in others)
