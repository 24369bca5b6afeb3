"""Every resource type that any topology declares is priced, free, or said to be unsupported."""

from __future__ import annotations

import pytest

from infra import offline, topologies
from opsctl.cost.resources import FREE, PRICED, UNSUPPORTED
from tests.infra.cloud_cases import GOLDEN, config

TYPES = sorted({line.split()[0] for file in GOLDEN.glob("*.txt") for line in file.read_text().splitlines()})


def test_a_type_is_in_one_table_only() -> None:
    assert not PRICED.keys() & FREE
    assert not UNSUPPORTED.keys() & (FREE | PRICED.keys())


@pytest.mark.parametrize("kind", [each for each in TYPES if (":" in each and "/" in each) or "dynamic" in each])
def test_every_type_that_a_topology_declares_in_any_config_is_known(kind: str) -> None:
    assert kind in FREE | PRICED.keys() | UNSUPPORTED.keys()


def test_every_type_that_the_edge_declares_is_known() -> None:
    kinds = {each.type for each in offline.declare(config("local")).resources if each.custom}
    assert kinds <= FREE | PRICED.keys() | UNSUPPORTED.keys()


def test_every_topology_that_exists_is_walked_above() -> None:
    assert set(topologies.TOPOLOGIES) == {"ecs", "eks", "lambda", "hybrid"}
