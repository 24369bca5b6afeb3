"""Which resources the EKS topology declares, in every config that changes the list."""

from __future__ import annotations

from typing import Any

import pytest

from infra import offline
from tests.infra.cloud_cases import WATCHING, config, hold_to_golden, second_phase

EKS = {"topology": "eks"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "dev-first-phase": ("dev", EKS),
    "dev": ("dev", second_phase(**EKS)),
    "prod": ("prod", second_phase(**EKS)),
    "prod-auto": ("prod", second_phase(**EKS, eks={"mode": "auto"})),
    "prod-existing": ("prod", second_phase(**EKS, eks={"controller": "existing"})),
    "prod-self-hosted": (
        "prod",
        second_phase(
            **EKS,
            retrieval={"qdrant": "self-hosted", "selfHosted": {"instances": 3, "replicas": 2}},
            documents={"mongo": "self-hosted"},
            cache={"redis": "self-hosted"},
        ),
    ),
    "prod-cdn": ("prod", second_phase(**EKS, cdn=True)),
    "prod-admins": ("prod", second_phase(**EKS, eks={"admins": ["arn:aws:iam::111122223333:role/platform"]})),
}


@pytest.fixture(scope="module")
def declared() -> dict[str, offline.Program]:
    return {case: offline.declare(config(stack, more)) for case, (stack, more) in CASES.items()}


@pytest.mark.parametrize("case", CASES)
def test_resources_are_the_golden_ones(case: str, declared: dict[str, offline.Program]) -> None:
    lines = [f"{each.type} {each.name}\n" for each in declared[case].resources if each.custom]
    hold_to_golden(f"eks-{case}.txt", "".join(lines))


def test_first_phase_is_the_second_without_the_workload(declared: dict[str, offline.Program]) -> None:
    first, second = declared["dev-first-phase"], declared["dev"]
    added = {each.type for each in second.resources} - {each.type for each in first.resources}
    assert added == {
        *WATCHING,
        "rag-platform:component:Workload",
        "kubernetes:apps/v1:Deployment",
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
        "kubernetes:core/v1:ConfigMap",
        "kubernetes:core/v1:Service",
        "kubernetes:core/v1:ServiceAccount",
        "kubernetes:networking.k8s.io/v1:Ingress",
        "kubernetes:policy/v1:PodDisruptionBudget",
    }
    assert first.outputs["release"] == {"image": None, "revision": None}
    assert (first.outputs["url"], first.outputs["cluster"]) == (None, {"name": "rag-dev", "service": None})
    assert set(first.outputs["secrets"]) == set(second.outputs["secrets"])


def test_every_resource_hangs_below_the_topology_and_on_the_stacks_providers(
    declared: dict[str, offline.Program],
) -> None:
    roots = [each for each in declared["prod"].resources if each.parent.endswith("Stack::rag-platform-prod")]
    assert {each.type for each in roots} <= {"rag-platform:topology:Eks", "pulumi:providers:aws"}


@pytest.mark.parametrize("case", ["prod", "prod-auto", "prod-admins"])
def test_names_of_one_type_are_unique(case: str, declared: dict[str, offline.Program]) -> None:
    names = [(each.type, each.name) for each in declared[case].resources]
    assert len(names) == len(set(names))


def test_what_both_share_is_the_same_on_ecs(declared: dict[str, offline.Program]) -> None:
    """Network, key, repository, secrets, buckets, cache, model access: the topology is the only key that differs."""
    ecs = offline.declare(config("prod", second_phase()))
    shared = "rag-platform:component:Foundation"

    def below(program: offline.Program) -> set[tuple[str, str]]:
        (foundation,) = program.of(shared)
        inside = {foundation.urn}
        for _ in range(4):  # as deep as components nest
            inside |= {each.urn for each in program.resources if each.parent in inside}
        return {(each.type, each.name) for each in program.resources if each.urn in inside}

    alone = below(ecs) ^ below(declared["prod"])
    # where stores run is what differs, and which groups of logs there are
    assert {kind for kind, _ in alone} <= {
        "rag-platform:component:DataStores",
        "aws:cloudwatch/logGroup:LogGroup",
    }
