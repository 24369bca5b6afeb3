"""The stack `dev` on EKS, by `topology: eks` alone: up, read back from the cluster, edited, rolled, destroyed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from opsctl.deploy.running import settle
from opsctl.deploy.verdict import judge
from opsctl.stack import Delivery, Release
from tests.e2e import outcomes, scan
from tests.e2e.census import census
from tests.e2e.kube import Cluster, eventually, serves
from tests.e2e.stack import Stack, Step
from tests.e2e.topologies.conftest import QUIET_EDITS, REGION, SAME, edit
from tests.e2e.typed import typed
from tests.infra.cloud_cases import DIGEST, VENDORS
from tests.unit.opsctl.conftest import Ended

TOPOLOGY = "eks"
NAMESPACE = "rag-dev-eks"
SECOND, THIRD = (DIGEST.replace("0" * 64, digit * 64) for digit in "23")
REFUSED = DIGEST.replace("0" * 64, "e" * 64)
PLURALS = {
    "ValidatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}
OF_CLUSTER = ("aws_eks_", "aws_launch_template.")
KUBE = "kubernetes:"
DEPLOYMENT = (f"{KUBE}apps/v1:Deployment", "deployment")
SETTINGS = (f"{KUBE}core/v1:ConfigMap", "configmap")
SCALER = (f"{KUBE}autoscaling/v2:HorizontalPodAutoscaler", "horizontalpodautoscaler")
DOOR = (f"{KUBE}networking.k8s.io/v1:Ingress", "ingress")
QUOTA = (f"{KUBE}core/v1:ResourceQuota", "resourcequota-rag")
LIMITS = (f"{KUBE}core/v1:LimitRange", "limitrange-rag")
NODES = ("aws:eks/nodeGroup:NodeGroup", "nodes")
REPLACED = {(op, *SETTINGS) for op in ("create-replacement", "replace", "delete-replaced")}
ROLLED = {("update", *DEPLOYMENT), *REPLACED}
# what a user sets -> the operations that this may cause
EDITS: dict[str, tuple[dict[str, Any], set[Step]]] = {
    "image": ({"service.image": SECOND}, ROLLED),
    "settings": ({"retrieval.topK": 5}, ROLLED),
    "scaling": ({"scaling.cpuPercent": 60}, {("update", *SCALER)}),
    "networks": ({"access.allowedCidrs": ["198.51.100.0/24"]}, {("update", *DOOR)}),
    "size": (
        {"eks.limits.memoryGiB": 3},
        {("update", *each) for each in (DEPLOYMENT, QUOTA, LIMITS)},
    ),
    "docs": ({"access.docs": False}, {("update", *DOOR), *ROLLED}),
}


# the emulated EC2 hands back a launch template's own tags as if its instances had them, so it is "changed" each time
NOT_ON_AWS = {("update", "aws:ec2/launchTemplate:LaunchTemplate", "node"), ("update", *NODES)}


def short(steps: list[Step]) -> set[Step]:
    return {(op, kind, name.removeprefix("rag-platform-dev-eks-")) for op, kind, name in steps} - NOT_ON_AWS


def at(cluster: Cluster, kind: str, name: str = "rag-api") -> dict[str, Any]:
    group, _, plural = kind.rpartition("/")
    return cluster.get(f"{group}/namespaces/{NAMESPACE}/{plural}/{name}")


def test_dev_comes_up_on_eks(stack: Stack, cluster: Cluster) -> None:
    stack.up()
    outputs = stack.outputs()
    assert outputs["topology"] == "eks"
    assert outputs["release"]["image"] == DIGEST
    assert outputs["cluster"]["service"] == f"{NAMESPACE}/rag-api"
    assert outputs["url"].startswith("http://rag-dev-eks-rag-api-")
    assert all(arn.startswith("arn:aws:secretsmanager:") for arn in outputs["secrets"].values())
    assert "planted" not in str(outputs)


def test_the_second_preview_is_empty(stack: Stack) -> None:
    assert short(stack.plan().steps) == set()


def test_the_scan_of_the_cluster_finds_no_more_than_dev_loosens(stack: Stack, tmp_path: Path) -> None:
    of_cluster = {check for check, name in scan.findings(stack.exported(tmp_path)) if name.startswith(OF_CLUSTER)}
    assert of_cluster == {"CKV_AWS_39"}  # the API server is open to one named network; in production to none


@pytest.fixture(scope="module")
def kubeconfig(stack: Stack) -> Path:
    """An operator's own, whose context is called as the cluster: by it `opsctl` finds the way there."""
    document = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    document["contexts"][0]["name"] = document["current-context"] = stack.outputs()["cluster"]["name"]
    made = stack.folder / "kubeconfig"
    made.write_text(yaml.safe_dump(document))
    return made


def opsctl(stack: Stack, kubeconfig: Path, command: str, *more: str) -> Ended:
    """Typed in the project's folder. No smoke test: these pods run nothing that could answer."""
    words = ["--yes", "--no-smoke-test", "--settle-timeout", "120", *more]
    return typed(stack, command, *words, KUBECONFIG=str(kubeconfig))


def test_opsctl_tells_from_the_api_server_what_runs(
    stack: Stack, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery.model_validate(stack.outputs())
    assert delivery.release is not None
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
    running, verdict = settle(delivery, delivery.release, limit_s=120, poll_s=0.5)
    assert (verdict.status, running.images) == ("running", (DIGEST,))
    assert running.ready_replicas == running.wanted_replicas
    other = Release(image=SECOND, revision="another")
    assert judge(other, running).status == "rolled back"


def test_the_pods_are_those_that_the_stack_reports(stack: Stack, cluster: Cluster) -> None:
    pods = cluster.pods(NAMESPACE, "rag-api")
    revision = stack.outputs()["release"]["revision"]
    assert {each["metadata"]["annotations"]["rag-platform/revision"] for each in pods} == {revision}
    assert all(map(serves, pods))
    settings = pods[0]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
    told = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{settings}")["data"]
    named = {*json.loads(told["RAG_SECRETS_FROM"]).values(), told["RAG_API_KEYS_FROM"]}
    assert named <= set(stack.outputs()["secrets"].values())
    assert "planted" not in str(told)


def test_the_cluster_has_what_guards_them(stack: Stack, cluster: Cluster) -> None:
    scaler = at(cluster, "/apis/autoscaling/v2/horizontalpodautoscalers")
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 2)
    budget = at(cluster, "/apis/policy/v1/poddisruptionbudgets")
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert eventually(lambda: at(cluster, "/api/v1/resourcequotas", "rag")["status"]["hard"]["pods"] == "6")
    policies = cluster.names(f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies")
    assert policies == {"default-deny", "allow-dns", "rag-api", "rag-job"}
    door = at(cluster, "/apis/networking.k8s.io/v1/ingresses")
    assert door["metadata"]["annotations"]["alb.ingress.kubernetes.io/inbound-cidrs"] == "192.0.2.0/24"
    made = cluster.get(f"/api/v1/namespaces/{NAMESPACE}")["metadata"]["labels"]
    assert made["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.fixture(scope="module")
def planned(stack: Stack) -> dict[str, set[Step]]:
    """What the engine would do for each edit alone."""
    edits = {edit: values for edit, (values, _) in EDITS.items()}
    return {edit: short(plan.steps) for edit, plan in stack.what_ifs(edits).items()}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_only_what_it_should(planned: dict[str, set[Step]], edit: str) -> None:
    assert planned[edit]
    assert planned[edit] <= EDITS[edit][1]


def test_a_new_image_rolls_with_no_pod_below_the_floor(stack: Stack, cluster: Cluster) -> None:
    before = stack.outputs()["release"]["revision"]
    edit(stack, {"service.image": SECOND})
    with cluster.watched(NAMESPACE, "rag-api") as seen:
        stack.up()
    assert min(seen.serving) >= 1
    assert seen.revisions == {before, stack.outputs()["release"]["revision"]}


@pytest.fixture
def admission(cluster: Cluster) -> Iterator[None]:
    """Refuses the pods of one image, as a rule about signatures would."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    check = {
        "expression": f"object.spec.containers.all(each, each.image != '{REFUSED}')",
        "message": "the image isn't signed",
    }
    spec = {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]}, "validations": [check]}
    bound = {"policyName": "signed", "validationActions": ["Deny"]}
    of = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "signed"}}
    for kind, body in (("ValidatingAdmissionPolicy", spec), ("ValidatingAdmissionPolicyBinding", bound)):
        cluster.create(PLURALS[kind], {**of, "kind": kind, "spec": body}).raise_for_status()
    yield
    for path in PLURALS.values():
        cluster.delete(f"{path}/signed")


@pytest.mark.usefixtures("admission")
def test_an_image_that_never_runs_is_exit_code_5_and_a_rollback_mends_it(
    stack: Stack, cluster: Cluster, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDLAB_KUBE_REFUSED_GRACE", "3")
    with cluster.watched(NAMESPACE, "rag-api") as seen:
        done = opsctl(stack, kubeconfig, "deploy", "--no-preflight", "--no-rollback", "--image", REFUSED)
    assert done.code == 5, done.err
    assert "the image isn't signed" in done.err
    assert "opsctl rollback" in done.err.splitlines()[-1]
    assert min(seen.serving) >= 1
    back = opsctl(stack, kubeconfig, "rollback")
    assert back.code == 0, back.err
    assert f"going back to {SECOND}" in back.err
    assert back.document["verdict"]["status"] == "running"  # a deployment of that image, as `deploy` does it
    assert back.document["running"]["images"] == [SECOND]
    assert stack.config()["rag-platform:service"]["image"] == SECOND


def image_of_pods(cluster: Cluster) -> str:
    (image,) = {each["spec"]["containers"][0]["image"] for each in cluster.pods(NAMESPACE, "rag-api")}
    return str(image)


def test_a_deployment_that_is_broken_off_is_finished_by_the_next_one(stack: Stack, kubeconfig: Path) -> None:
    there = {"KUBECONFIG": str(kubeconfig)}
    outcomes.is_broken_off_and_finished_by_the_same_command(stack, QUIET_EDITS, **there)


def test_a_wrong_config_is_refused(stack: Stack, cluster: Cluster, kubeconfig: Path) -> None:
    outcomes.is_refused_for_a_wrong_config(stack, partial(image_of_pods, cluster), KUBECONFIG=str(kubeconfig))


def test_an_image_that_has_no_good_answer_is_taken_back(stack: Stack, cluster: Cluster, kubeconfig: Path) -> None:
    runs, there = partial(image_of_pods, cluster), {"KUBECONFIG": str(kubeconfig)}
    outcomes.is_taken_back_where_the_smoke_test_fails(stack, THIRD, SECOND, runs, **there)


def test_a_throttled_account(stack: Stack, cluster: Cluster, kubeconfig: Path) -> None:
    """The verdict is the API server's; AWS is asked by the engine alone."""
    outcomes.is_throttled_in_its_update(stack, partial(image_of_pods, cluster), KUBECONFIG=str(kubeconfig))


def test_an_ingestion_is_a_job_that_the_namespace_admits(stack: Stack, cluster: Cluster, kubeconfig: Path) -> None:
    done = typed(stack, "ingest", "--no-wait", KUBECONFIG=str(kubeconfig))
    assert done.code == 0, done.err
    name = done.document["job"].removeprefix("job/")
    place = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{name}"
    assert eventually(lambda: sum(cluster.get(place)["status"].get(key, 0) for key in ("active", "succeeded")) == 1)
    (pod,) = cluster.pods(NAMESPACE, "rag-job")
    (container,) = pod["spec"]["containers"]
    assert container["command"][2:] == ["service.jobs.ingest", "--mongo", "--qdrant", "--workers", "1"]
    assert (container["image"], pod["spec"]["serviceAccountName"]) == (SECOND, "rag-api")
    assert container["envFrom"] == cluster.pods(NAMESPACE, "rag-api")[0]["spec"]["containers"][0]["envFrom"]
    cluster.delete(f"{place}?propagationPolicy=Background")


def test_a_pause_leaves_no_pod_and_no_node_and_the_way_back_is_proved(
    stack: Stack, cluster: Cluster, kubeconfig: Path
) -> None:
    eks: Any = boto3.client("eks", region_name=REGION)
    name = stack.outputs()["cluster"]["name"]

    def nodes() -> int:
        (group,) = eks.list_nodegroups(clusterName=name)["nodegroups"]
        size = eks.describe_nodegroup(clusterName=name, nodegroupName=group)["nodegroup"]["scalingConfig"]
        return int(size["desiredSize"])

    before = nodes()
    done = typed(stack, "pause", "--yes", "--no-endpoint", KUBECONFIG=str(kubeconfig))
    assert done.code == 0, done.err
    assert done.document["changed"] == ["alarms", "pods", "nodes"]
    assert eventually(lambda: cluster.pods(NAMESPACE, "rag-api") == [])
    assert nodes() == 0
    assert "nat.hour" in {each["price"] for each in done.document["bills"]}
    back = typed(stack, "resume", "--yes", "--no-endpoint", KUBECONFIG=str(kubeconfig))
    assert back.code == 0, back.err
    assert back.document["changed"] == ["nodes", "pods", "alarms"]
    assert (nodes(), sum(map(serves, cluster.pods(NAMESPACE, "rag-api"))) >= 1) == (before, True)


def test_destroy_takes_the_front_door_before_the_cluster_and_leaves_nothing(
    stack: Stack, cluster: Cluster, before: set[tuple[str, str]]
) -> None:
    done = stack.run("destroy", "--yes", "--skip-preview")
    kinds = re.findall(r" -  [a-z-]+:\S+:(\w+) \S+ deleted", done.stdout)
    assert kinds.index("Ingress") < kinds.index("Cluster") < kinds.index("Vpc")
    assert census(REGION) - before == set()
    assert not cluster.there(f"/api/v1/namespaces/{NAMESPACE}")


@pytest.fixture
def zone() -> Iterator[None]:
    """The hosted zone that the user has."""
    route53: Any = boto3.client("route53", region_name=REGION)
    made = route53.create_hosted_zone(Name="example.com", CallerReference="eks")["HostedZone"]["Id"]
    yield
    route53.delete_hosted_zone(Id=made)


@pytest.mark.usefixtures("zone")
def test_prod_is_planned_from_its_own_file(tmp_path: Path) -> None:
    prod = Stack("prod-eks", tmp_path)
    prod.create("prod")
    prod.set("monitoring.canaryMinutes", 0)  # the emulator knows no layer of another account (CreateFunction)
    for name in VENDORS:
        prod.set(f"secrets.{name}", f"planted-{name}", secret=True)
    edit(prod, SAME)
    prod.run("config", "set", "topology", TOPOLOGY)
    steps = prod.plan().steps
    assert {op for op, _, _ in steps} == {"create"}
    kinds = [kind for _, kind, _ in steps]
    assert {DEPLOYMENT[0], DOOR[0], SCALER[0], NODES[0], "aws:eks/cluster:Cluster", "aws:wafv2/webAcl:WebAcl"} <= set(
        kinds
    )
    assert not [kind for kind in kinds if kind.startswith("aws:ecs/")]
