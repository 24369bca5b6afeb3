"""What a real control plane does with the Kubernetes part: rollouts, refusals, quotas, volumes, in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.eks_dev.kube_program import FAULT
from tests.e2e.kube import Cluster, condition, eventually, serves
from tests.e2e.stack import ROOT, Stack
from tests.e2e.topologies.conftest import edit
from tests.infra.cloud_cases import DIGEST

NAMESPACE = "rag-dev-kube"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
SECOND = DIGEST.replace("0" * 64, "2" * 64)
REPLICAS = 3


# as a user edits the stack file: three replicas on nodes that hold them, two stores of its own
EDITS = {
    "topology": "eks",
    "service.image": DIGEST,
    "service.replicas": {"min": REPLICAS, "max": 5},
    "eks.nodes.instanceType": "t3.2xlarge",
    "eks.requests": {"cpu": 0.25, "memoryGiB": 0.5},  # the cluster has three small nodes
    "eks.stores.qdrant": {"cpu": 0.25, "memoryGiB": 0.5},
    "retrieval.qdrant": "self-hosted",
    "documents.mongo": "self-hosted",
    "queryModel.provider": "none",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Stack]:
    made = Stack("dev-kube", tmp_path_factory.mktemp("kube"))
    made.create("dev")
    (made.folder / "tests").symlink_to(ROOT / "tests")
    program, project = made.folder / "program", made.folder / "Pulumi.yaml"
    program.mkdir()
    (program / "__main__.py").write_text("from tests.e2e.eks_dev import kube_program\nkube_program.main()\n")
    project.write_text(project.read_text().replace("main: infra/", "main: program/"))
    edit(made, EDITS)
    yield made
    if made.resources():  # a test failed on the way
        edit(made, {"protect": False})
        made.up(check=False)
        made.run("destroy", "--yes", "--skip-preview", check=False)


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setenv("CLOUDLAB_KUBE_REFUSED_GRACE", "3")
    return lambda name: monkeypatch.setenv(FAULT, name)


def rollout(cluster: Cluster) -> dict[str, Any]:
    return cluster.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/rag-api")


def serving(cluster: Cluster) -> int:
    return sum(map(serves, cluster.pods(NAMESPACE, "rag-api")))


def test_it_comes_up_and_the_second_preview_is_empty(stack: Stack) -> None:
    stack.up()
    assert stack.unchanged(), stack.log[-1]


def test_the_rollout_is_complete_and_says_which_revision_it_is(stack: Stack, cluster: Cluster) -> None:
    assert eventually(lambda: serving(cluster) == REPLICAS)  # the autoscaler's bound: the Deployment names no number
    pods = cluster.pods(NAMESPACE, "rag-api")
    assert {each["metadata"]["annotations"]["rag-platform/revision"] for each in pods} == {stack.outputs()["revision"]}
    assert len({each["spec"]["nodeName"] for each in pods}) == REPLICAS  # a node each: the zones are theirs


def test_stores_run_on_volumes_of_their_own_and_the_quota_counts_them_all(stack: Stack, cluster: Cluster) -> None:
    claims = cluster.items(CLAIMS)
    assert {each["metadata"]["name"]: each["status"]["phase"] for each in claims} == {
        "data-mongo-0": "Bound",
        "data-qdrant-0": "Bound",
    }
    quota = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/rag"
    assert eventually(lambda: int(cluster.get(quota)["status"]["used"]["pods"]) == REPLICAS + len(claims))
    used = cluster.get(quota)["status"]["used"]
    assert used["requests.memory"] == "3136Mi"  # 3 x 0.5 + 0.5 + 1 GiB, and 32 MiB beside each store


def test_a_namesake_that_is_root_is_refused_and_so_is_a_load_balancer(stack: Stack, cluster: Cluster) -> None:
    pod = {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": True}}]}
    refused = cluster.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}, "spec": pod})
    assert refused.status_code == 403
    assert 'violates PodSecurity "restricted:v1.35"' in refused.json()["message"]
    service = {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"a": "b"}}
    made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "open"}, "spec": service}
    refused = cluster.create(f"/api/v1/namespaces/{NAMESPACE}/services", made)
    assert refused.status_code == 403
    assert "exceeded quota" in refused.json()["message"]


def test_a_new_image_never_takes_a_pod_away_before_the_next_one_serves(stack: Stack, cluster: Cluster) -> None:
    before = stack.outputs()["revision"]
    edit(stack, {"service.image": SECOND})
    with cluster.watched(NAMESPACE, "rag-api") as seen:
        stack.up()
    after = stack.outputs()["revision"]
    assert min(seen.serving) >= REPLICAS
    assert {before, after} <= seen.revisions
    assert before != after


def test_a_deployment_that_the_namespace_refuses_fails_the_up_with_the_reason(
    stack: Stack, cluster: Cluster, fault: Callable[[str], None]
) -> None:
    fault("is_root")
    done = stack.up(check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert 'violates PodSecurity "restricted' in said  # of the pods, as the controller met it
    assert "runAsNonRoot != true" in said
    assert serving(cluster) >= REPLICAS


def test_pods_that_crash_fail_the_up_and_the_old_ones_go_on(
    stack: Stack, cluster: Cluster, fault: Callable[[str], None]
) -> None:
    fault("crashes")
    done = stack.up(check=False)
    assert done.returncode != 0
    assert "has timed out progressing" in done.stdout + done.stderr
    assert serving(cluster) >= REPLICAS


def test_the_next_up_repairs_what_failed(stack: Stack, cluster: Cluster) -> None:
    stack.up()
    assert condition(rollout(cluster), "Available") == "True"
    assert stack.unchanged(), stack.log[-1]


def test_a_protected_stack_keeps_its_volumes_and_the_namespace_that_claims_them(stack: Stack, cluster: Cluster) -> None:
    edit(stack, {"protect": True})
    stack.up()
    refused = stack.run("destroy", "--preview-only", check=False)
    assert refused.returncode != 0
    (claim,) = [each for each in cluster.items(CLAIMS) if each["metadata"]["name"] == "data-mongo-0"]
    assert "ownerReferences" not in claim["metadata"]  # of the set: it would go with it
    edit(stack, {"protect": False})
    stack.up()


def test_destroy_takes_the_front_door_first_and_leaves_nothing(stack: Stack, cluster: Cluster) -> None:
    done = stack.run("destroy", "--yes", "--skip-preview")
    gone = [
        line.split("kubernetes:")[1]
        for line in done.stdout.splitlines()
        if " deleted" in line and "kubernetes:" in line
    ]
    kinds = [line.split(" ")[0].rpartition(":")[2] for line in gone]
    assert kinds.index("Ingress") < kinds.index("Service") < kinds.index("Deployment") < kinds.index("Namespace")
    assert not cluster.there(f"/api/v1/namespaces/{NAMESPACE}")
    assert cluster.names("/api/v1/persistentvolumes") == set()
    assert f"{NAMESPACE}-data" not in cluster.names("/apis/storage.k8s.io/v1/storageclasses")
