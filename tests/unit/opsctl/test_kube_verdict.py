"""What runs on a cluster, by the API server's word: a played one, which answers as the real one does."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from opsctl.deploy.running import FINDERS, settle
from opsctl.deploy.verdict import Running
from opsctl.errors import CloudRefused, NotDeployed, TimedOut
from opsctl.kube import session
from opsctl.stack import Cluster, Delivery, Release
from tests.unit.opsctl.conftest import PlayedService, Reply

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = "r/rag@sha256:aa", "r/rag@sha256:bb"
WANTED = Release(image=NEW, revision="bbbb")
EKS = Delivery(
    topology="eks",
    region="eu-north-1",
    release=WANTED,
    cluster=Cluster(name="rag-dev", service="rag-dev/rag-api"),
)
DEPLOYMENT = "/apis/apps/v1/namespaces/rag-dev/deployments/rag-api"
PODS = "/api/v1/namespaces/rag-dev/pods?labelSelector=app.kubernetes.io/name%3Drag-api"


def pod(image: str, *, ready: bool = True, waiting: str | None = None, leaving: bool = False) -> dict[str, Any]:
    state = {"waiting": {"reason": waiting, "message": "Back-off pulling image"}} if waiting else {"running": {}}
    gone = {"deletionTimestamp": "2026-11-26T00:00:00Z"} if leaving else {}
    revision = {OLD: "aaaa", NEW: "bbbb"}[image]
    return {
        "metadata": {"name": f"rag-api-{revision}", "annotations": {"rag-platform/revision": revision}, **gone},
        "spec": {"containers": [{"name": "rag-api", "image": image}]},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [
                {"name": "rag-api", "image": image, "imageID": "", "ready": ready, "restartCount": 0, "state": state}
            ],
        },
    }


def says(service: PlayedService, *pods: dict[str, Any], image: str = NEW, **changed: Any) -> None:
    """Let the played API server tell of a Deployment that asks for `image`, and of these pods."""
    ready = sum(each["status"]["conditions"][0]["status"] == "True" for each in pods)
    status = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": ready} | changed
    template = pod(image)
    body = {
        "metadata": {"name": "rag-api", "generation": 2},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app.kubernetes.io/name": "rag-api"}},
            "template": {"metadata": template["metadata"], "spec": template["spec"]},
        },
        "status": status,
    }
    service.says(DEPLOYMENT, Reply(body=body))
    service.says(PODS, Reply(body={"items": list(pods)}))


@pytest.fixture
def cluster(kube_api: PlayedService) -> PlayedService:
    says(kube_api, pod(NEW), pod(NEW))
    return kube_api


def test_it_runs_what_its_ready_pods_run(cluster: PlayedService) -> None:
    assert FINDERS["eks"](EKS) == Running(
        revision="bbbb", images=(NEW,), state="done", wanted_replicas=2, ready_replicas=2
    )
    assert cluster.requests[0][2]["authorization"] == "Bearer planted-token"
    _, verdict = settle(EKS, WANTED, limit_s=5, poll_s=0.01)
    assert (verdict.status, verdict.why) == ("running", "bbbb runs, 2 of 2 replicas")


@pytest.mark.parametrize(
    ("pods", "status"),
    [
        ((pod(NEW), pod(NEW, ready=False)), {}),
        ((pod(NEW), pod(NEW), pod(OLD)), {"replicas": 3}),
        ((pod(OLD), pod(OLD)), {"observedGeneration": 1, "updatedReplicas": 2}),
        ((), {"replicas": 0, "updatedReplicas": 0}),
    ],
    ids=["one is not ready", "an old one is left", "not yet seen", "none is there"],
)
def test_a_rollout_that_goes_on_has_not_settled(pods: Any, status: dict[str, Any], cluster: PlayedService) -> None:
    says(cluster, *pods, **status)
    assert FINDERS["eks"](EKS).state == "settling"


def test_a_rollout_that_was_given_up_is_told_with_what_runs_and_why(cluster: PlayedService) -> None:
    given_up = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "rag-api-2" has timed out progressing.',
    }
    pods = (pod(OLD), pod(OLD), pod(NEW, ready=False, waiting="ImagePullBackOff"))
    says(cluster, *pods, replicas=3, updatedReplicas=1, conditions=[given_up])
    running, verdict = settle(EKS, WANTED, limit_s=5, poll_s=0.01)
    assert (running.revision, running.images, running.ready_replicas) == ("aaaa", (OLD,), 0)
    assert verdict.status == "rolled back"
    assert verdict.why.startswith("aaaa runs, not bbbb: ProgressDeadlineExceeded")
    assert "pod rag-api-bbbb: ImagePullBackOff: Back-off pulling image" in verdict.why


def test_what_admission_refuses_reaches_the_user(cluster: PlayedService) -> None:
    why = 'pods "rag-api-2-x" is forbidden: violates PodSecurity "restricted:v1.35": runAsNonRoot != true'
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": why}
    says(cluster, pod(OLD), pod(OLD), replicas=2, updatedReplicas=0, conditions=[refused])
    running = FINDERS["eks"](EKS)
    assert (running.state, running.images, running.reason) == ("settling", (OLD,), why)


def test_a_pod_that_no_node_takes_says_so(cluster: PlayedService) -> None:
    homeless = pod(NEW, ready=False)
    homeless["status"] = {
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: too few CPU"}
        ]
    }
    says(cluster, pod(OLD), pod(OLD), replicas=3, updatedReplicas=1)
    cluster.says(PODS, Reply(body={"items": [pod(OLD), pod(OLD), homeless]}))
    assert FINDERS["eks"](EKS).reason == "pod rag-api-bbbb: Unschedulable: 0/3 nodes: too few CPU"


def test_a_pod_that_leaves_serves_no_more(cluster: PlayedService) -> None:
    says(cluster, pod(NEW), pod(NEW), pod(OLD, leaving=True), availableReplicas=2)
    assert FINDERS["eks"](EKS).ready_replicas == 2


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (403, "403 no; let an administrator add your role to eks.admins"),
        (401, "401 no; let an administrator"),
        (404, "404 no; run `pulumi refresh`"),
        (500, "500 no; run the same command again"),
    ],
)
def test_a_refusal_of_the_cluster_names_the_next_step(status: int, told: str, cluster: PlayedService) -> None:
    cluster.says(DEPLOYMENT, Reply(status, {"kind": "Status", "message": "no"}))
    with pytest.raises(CloudRefused, match=told) as refused:
        FINDERS["eks"](EKS)
    assert "planted-token" not in str(refused.value)


def test_an_api_server_that_is_silent_is_a_timeout(cluster: PlayedService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsctl.kube.LIMIT_S", 0.2)
    cluster.hangs(DEPLOYMENT)
    with pytest.raises(TimedOut, match=r"no answer about Deployment .*eks\.endpointPublicCidrs"):
        FINDERS["eks"](EKS)


def test_a_first_phase_stack_has_no_deployment_to_ask() -> None:
    for cluster_of in (None, Cluster(name="rag-dev")):
        with pytest.raises(NotDeployed, match="opsctl image push"):
            FINDERS["eks"](Delivery(topology="eks", cluster=cluster_of))


def test_without_a_context_aws_says_where_the_cluster_is_and_signs_for_the_caller(
    service: PlayedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    for name, value in {
        "AWS_ENDPOINT_URL": service.url,
        "AWS_ACCESS_KEY_ID": "AKIAPLANTED",
        "AWS_SECRET_ACCESS_KEY": "planted-secret",
    }.items():
        monkeypatch.setenv(name, value)
    where = {"endpoint": service.url, "certificateAuthority": {"data": base64.b64encode(b"pem").decode()}}
    service.says("/clusters/rag-dev", Reply(body={"cluster": where}))
    says(service, pod(NEW), pod(NEW))
    assert FINDERS["eks"](EKS).state == "done"
    (sent,) = {request[2]["authorization"] for request in service.requests if request[1] == DEPLOYMENT}
    kind, token = sent.removeprefix("Bearer ").split(".", 1)
    assert kind == "k8s-aws-v1"
    signed = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    asked = parse_qs(signed.query)
    assert signed.hostname == "sts.eu-north-1.amazonaws.com"
    assert asked["Action"] == ["GetCallerIdentity"]
    assert "x-k8s-aws-id" in asked["X-Amz-SignedHeaders"][0]
    assert "planted-secret" not in signed.query


def test_the_client_loads_only_when_a_cluster_is_asked() -> None:
    assert session.api is not None  # here it is loaded; a process that only imports the finders has not
    import subprocess
    import sys

    code = "import sys, opsctl.deploy.running; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
