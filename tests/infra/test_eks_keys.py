"""Every key of the block `eks`, and those that mean something else on Kubernetes: what changing it alone does.

The golden file says it key by key. The keys that ECS and EKS share are changed one by one in test_ecs_keys.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra.config import StackConfig
from tests.infra.cloud_cases import hold_to_golden, merged, second_phase, stack_file
from tests.infra.config_keys import keys
from tests.infra.test_ecs_keys import changes, declared

STORES = {
    "retrieval": {"qdrant": "self-hosted", "selfHosted": {"instances": 2}},
    "documents": {"mongo": "self-hosted"},
    "cache": {"redis": "self-hosted"},
}
# key -> another legal value; a dict is laid over the config where one key alone would not be legal
EXAMPLES: dict[str, Any] = {
    "eks.version": "1.34",
    "eks.mode": "auto",
    "eks.controller": "existing",
    "eks.nodes.instanceType": "t3.xlarge",
    "eks.nodes.min": 4,
    "eks.nodes.max": 20,
    "eks.nodes.capacity": "spot",
    "eks.nodes.diskGiB": 80,
    "eks.requests.cpu": 0.5,
    "eks.requests.memoryGiB": 1,
    "eks.limits.cpu": 4,
    "eks.limits.memoryGiB": 6,
    "eks.stores.qdrant.cpu": 0.25,
    "eks.stores.qdrant.memoryGiB": 3,
    "eks.stores.mongo.cpu": 0.25,
    "eks.stores.mongo.memoryGiB": 2,
    "eks.stores.redis.cpu": 0.2,
    "eks.stores.redis.memoryGiB": 1,
    "eks.serviceCidr": "172.21.0.0/16",
    "eks.endpointPublicCidrs": ["198.51.100.0/24"],
    "eks.admins": ["arn:aws:iam::111122223333:role/platform"],
    "service.image": "111122223333.dkr.ecr.eu-north-1.amazonaws.com/rag@sha256:" + "1" * 64,
    "service.replicas.min": 3,
    "service.replicas.max": 8,
    "scaling.cpuPercent": 60,
    "scaling.memoryPercent": 60,
    "access.waf": False,
    "access.publicIngress": {"access": {"publicIngress": False, "allowedCidrs": ["198.51.100.0/24"]}},
    "protect": False,
}
# what a key needs to be asked for at all
BASES: dict[str, dict[str, Any]] = {"eks.stores.": STORES}


def base(path: str) -> dict[str, Any]:
    more = next((found for start, found in BASES.items() if path.startswith(start)), {})
    return merged(merged(merged(stack_file("prod"), second_phase()), {"topology": "eks"}), more)


def with_example(path: str) -> dict[str, Any]:
    value = EXAMPLES[path]
    if not isinstance(value, dict):
        for key in reversed(path.split(".")):
            value = {key: value}
    return merged(base(path), dict(value))


def test_every_key_of_the_block_has_an_example() -> None:
    own = {path for path in keys(StackConfig) if path.startswith("eks.")}
    assert own == {path for path in EXAMPLES if path.startswith("eks.")}


def test_a_changed_key_changes_what_the_golden_file_says() -> None:
    plain, stores = declared(base("")), declared(base("eks.stores."))
    effects = {
        path: changes(stores if path.startswith("eks.stores.") else plain, declared(with_example(path)))
        for path in EXAMPLES
    }
    assert not {path for path, found in effects.items() if found == "nothing"}
    hold_to_golden("eks-key-effects.txt", "".join(f"{path}: {found}\n" for path, found in effects.items()))


@pytest.mark.parametrize("block", [{"ecs": {"exec": True}}, {"scaling": {"requestsPerMinute": 10}}])
def test_what_does_not_apply_to_kubernetes_changes_nothing(block: dict[str, Any]) -> None:
    assert declared(merged(base(""), block)) == declared(base(""))
