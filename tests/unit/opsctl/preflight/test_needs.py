"""What a stack takes of an account's quotas at its largest, from the program that `pulumi up` runs."""

from __future__ import annotations

from typing import Any

import pytest

from infra import offline
from opsctl.preflight.needs import needs
from tests.infra.cloud_cases import config, second_phase


def needed(stack: str, **more: Any) -> dict[str, int]:
    cfg = config(stack, second_phase(**more))
    return {need.name: need.amount for need in needs(cfg, offline.declare(cfg))}


@pytest.mark.parametrize(
    ("stack", "more", "wanted"),
    [
        ("dev", {}, {"elastic IPs": 1, "VPCs": 1, "Fargate vCPU": 4}),
        ("prod", {}, {"elastic IPs": 3, "VPCs": 1, "Fargate vCPU": 16}),
        (
            "prod",
            {"ecs": {"capacity": "ec2", "instanceType": "t3.large", "instances": {"min": 2, "max": 5}}},
            {"EC2 vCPU": 10},
        ),
        ("prod", {"documents": {"mongo": "self-hosted"}}, {"EC2 vCPU": 2}),
        ("dev", {"topology": "lambda", "lambda": {"reservedConcurrency": 50}}, {"Lambda concurrency": 50}),
    ],
)
def test_a_stack_needs_what_it_may_grow_to(stack: str, more: dict[str, Any], wanted: dict[str, int]) -> None:
    found = needed(stack, **more)
    assert {name: found.get(name) for name in wanted} == wanted


def test_a_cluster_needs_its_largest_node_group() -> None:
    assert needed("dev", topology="eks")["EC2 vCPU"] == 3 * 2


def test_functions_without_a_network_need_no_address() -> None:
    assert set(needed("dev", topology="lambda")) == {"Lambda concurrency"}
