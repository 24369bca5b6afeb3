"""Which resources the ECS topology declares, in every config that changes the list."""

from typing import Any

import pytest

from infra import offline
from tests.infra.cloud_cases import WATCHING, config, hold_to_golden, merged, second_phase

SELF_HOSTED = {
    "retrieval": {"qdrant": "self-hosted"},
    "documents": {"mongo": "self-hosted"},
    "cache": {"redis": "self-hosted"},
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "dev-first-phase": ("dev", {}),
    "dev": ("dev", second_phase()),
    "prod": ("prod", second_phase()),
    "prod-ec2": ("prod", second_phase(ecs={"capacity": "ec2", "instanceType": "t3.large"})),
    "prod-self-hosted": ("prod", second_phase(**SELF_HOSTED)),
    "prod-qdrant-cluster": (
        "prod",
        second_phase(retrieval={"qdrant": "self-hosted", "selfHosted": {"instances": 2, "replicas": 2}}),
    ),
    "prod-no-cache": ("prod", second_phase(cache={"redis": "none"})),
    "prod-cdn": ("prod", second_phase(cdn=True)),
    "prod-openai": ("prod", second_phase(generation={"provider": "openai"})),
    "prod-llamacpp": (
        "prod",
        second_phase(
            service={"cpu": 4, "memoryGiB": 8},
            generation={
                "provider": "llamacpp",
                "model": "/models/small.gguf",
                "llamacpp": {"image": "registry.example.com/llama@sha256:" + "2" * 64},
            },
        ),
    ),
    "prod-oidc": (
        "prod",
        second_phase(access={"auth": "oidc", "oidc": {"issuer": "https://id.example.com", "audience": "rag"}}),
    ),
    "prod-endpoints": ("prod", second_phase(network={"interfaceEndpoints": ["secretsmanager", "ecr.dkr"]})),
    "prod-paged": (
        "prod",
        second_phase(
            monitoring={
                "pagerDuty": {"secure": "planted-pager"},
                "slack": {"workspaceId": "T1", "channelId": "C1"},
            },
            budget={"hourlyUsd": 5},
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_resources_are_the_golden_ones(case: str) -> None:
    stack, more = CASES[case]
    declared = offline.declare(config(stack, more))
    lines = [f"{resource.type} {resource.name}\n" for resource in declared.resources if resource.custom]
    hold_to_golden(f"ecs-{case}.txt", "".join(lines))


def test_first_phase_is_the_second_without_the_workload() -> None:
    first, second = (offline.declare(config("dev", more)) for more in ({}, second_phase()))
    added = {each.type for each in second.resources} - {each.type for each in first.resources}
    assert added == {
        "rag-platform:component:EcsService",
        "aws:ecs/taskDefinition:TaskDefinition",
        "aws:ecs/service:Service",
        "aws:appautoscaling/target:Target",
        *WATCHING,
        "aws:appautoscaling/policy:Policy",
        "aws:appautoscaling/scheduledAction:ScheduledAction",
        "aws:secretsmanager/secretVersion:SecretVersion",
    } - {each.type for each in first.resources}
    assert first.outputs["release"] == {"image": None, "revision": None}
    assert first.outputs["registry"]
    assert set(first.outputs["secrets"]) == set(second.outputs["secrets"])


def test_every_resource_hangs_below_the_topology_and_on_the_stacks_provider() -> None:
    declared = offline.declare(config("prod", second_phase()))
    roots = [each for each in declared.resources if each.parent.endswith("pulumi:pulumi:Stack::rag-platform-prod")]
    assert {each.type for each in roots} <= {"rag-platform:topology:Ecs", "pulumi:providers:aws"}


def test_names_of_one_type_are_unique() -> None:
    declared = offline.declare(config("prod", merged(second_phase(), SELF_HOSTED)))
    names = [(each.type, each.name) for each in declared.resources]
    assert len(names) == len(set(names))
