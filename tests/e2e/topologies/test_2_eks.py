"""The same stack file on EKS, up and down; what else it is put through is in `tests/e2e/eks_dev`."""

from __future__ import annotations

from tests.e2e.census import census
from tests.e2e.kube import Cluster
from tests.e2e.stack import Stack
from tests.e2e.topologies.conftest import REGION

TOPOLOGY = "eks"


def test_the_same_file_comes_up_as_a_deployment_of_eks(stack: Stack, cluster: Cluster) -> None:
    stack.up()
    outputs = stack.outputs()
    assert outputs["topology"] == TOPOLOGY
    namespace, _, name = outputs["cluster"]["service"].partition("/")
    assert cluster.there(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    kinds = {each.rpartition("::")[0].rpartition("::")[2].rpartition("$")[2] for each in stack.resources()}
    assert "aws:eks/cluster:Cluster" in kinds
    assert not [kind for kind in kinds if kind.startswith("aws:ecs/")]


def test_destroy_leaves_nothing(stack: Stack, cluster: Cluster, before: set[tuple[str, str]]) -> None:
    namespace = stack.outputs()["cluster"]["service"].partition("/")[0]
    stack.run("destroy", "--yes", "--skip-preview")
    assert census(REGION) - before == set()
    assert not cluster.there(f"/api/v1/namespaces/{namespace}")
