"""A network is built for what is private, and only then."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.cloud_cases import config


@pytest.mark.parametrize(
    ("topology", "more", "needed"),
    [
        ("ecs", {"cache": {"redis": "none"}}, True),
        ("eks", {"cache": {"redis": "none"}}, True),
        ("lambda", {"cache": {"redis": "none"}}, False),
        ("lambda", {"cache": {"redis": "elasticache"}}, True),
        ("lambda", {"cache": {"redis": "self-hosted"}}, True),
        ("lambda", {"cache": {"redis": "none"}, "retrieval": {"qdrant": "self-hosted"}}, True),
        ("lambda", {"cache": {"redis": "none"}, "documents": {"mongo": "self-hosted"}}, True),
        ("hybrid", {"cache": {"redis": "none"}}, False),
    ],
)
def test_containers_have_a_network_and_functions_only_for_private_stores(
    topology: str, more: dict[str, Any], *, needed: bool
) -> None:
    assert config("prod", {"topology": topology, **more}).has_network is needed
