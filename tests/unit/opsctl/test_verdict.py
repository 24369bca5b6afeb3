from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from opsctl.deploy import running as running_module
from opsctl.deploy.running import FINDERS, settle
from opsctl.deploy.verdict import Running, judge
from opsctl.errors import CloudRefused, NotDeployed, NotUsable, TimedOut
from opsctl.stack import Cluster, Delivery, Release
from tests.unit.opsctl.conftest import PlayedService, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

OLD, NEW = (f"arn:aws:ecs:eu-north-1:123456789012:task-definition/rag:{n}" for n in (1, 2))
OLD_IMAGE, NEW_IMAGE = "r/rag@sha256:aa", "r/rag@sha256:bb"
WANTED = Release(image=NEW_IMAGE, revision=NEW)
RUNS = Running(revision=NEW, images=(NEW_IMAGE,), state="done", wanted_replicas=2, ready_replicas=2)
BREAKER = "circuit breaker: tasks failed to start"

CASES = [
    (RUNS, "running", "rag:2 runs, 2 of 2 replicas"),
    (replace(RUNS, images=("envoy:1", NEW_IMAGE)), "running", "rag:2 runs"),
    (replace(RUNS, state="settling", ready_replicas=1), "settling", "the rollout of rag:2 goes on, 1 of 2 replicas"),
    (replace(RUNS, revision=OLD, state="settling"), "settling", "rag:1 goes on"),
    (Running(revision=None, images=(), state="settling"), "settling", "nothing is ready yet"),
    (replace(RUNS, revision=OLD, reason=f"{BREAKER}."), "rolled back", f"rag:1 runs, not rag:2: {BREAKER}"),
    (replace(RUNS, revision=None), "rolled back", "nothing runs, not rag:2"),
    (replace(RUNS, images=(OLD_IMAGE,)), "rolled back", f"{OLD_IMAGE} runs, not {NEW_IMAGE}"),
    (replace(RUNS, state="failed", reason=f"{BREAKER}."), "rolled back", f"the rollout of rag:2 failed: {BREAKER}"),
    (replace(RUNS, wanted_replicas=0, ready_replicas=0), "running", "0 of 0 replicas"),
]


@pytest.mark.parametrize(("running", "status", "why"), CASES)
def test_the_platforms_word_decides(running: Running, status: str, why: str) -> None:
    verdict = judge(WANTED, running)
    assert verdict.status == status
    assert why in verdict.why


def test_a_release_without_revision_or_image_is_judged_by_its_rollout() -> None:
    assert judge(Release(), RUNS).status == "running"
    assert judge(Release(), replace(RUNS, state="failed")).status == "rolled back"


ECS = Delivery(topology="ecs", region="eu-north-1", release=WANTED, cluster=Cluster(name="k", service="rag"))


def ecs_says(service: PlayedService, **changed: Any) -> None:
    """Let the played service answer as ECS does."""
    seen = {"primary": NEW, "image": NEW_IMAGE, "rollout": "COMPLETED", "newest": "SUCCESSFUL", "running": 2} | changed
    primary = {
        "status": "PRIMARY",
        "taskDefinition": seen["primary"],
        "rolloutState": seen["rollout"],
        "desiredCount": 2,
        "runningCount": seen["running"],
    }
    newest = {"status": seen["newest"], "statusReason": seen.get("reason")}

    def answer(body: dict[str, Any]) -> Reply:
        if "services" in body:
            return Reply(body={"services": [{"status": "ACTIVE", "deployments": [primary]}]})
        if "taskDefinition" in body:
            return Reply(body={"taskDefinition": {"containerDefinitions": [{"image": seen["image"]}]}})
        return Reply(body={"serviceDeployments": [newest]})

    service.answers["/"] = answer


@pytest.fixture
def cloud(service: PlayedService, monkeypatch: pytest.MonkeyPatch) -> PlayedService:
    monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    ecs_says(service)
    return service


def test_ecs_runs_what_its_primary_deployment_runs(cloud: PlayedService) -> None:
    assert FINDERS["ecs"](ECS) == RUNS
    assert len(cloud.requests) == 3


def test_a_completed_rollout_that_lacks_tasks_has_not_settled(cloud: PlayedService) -> None:
    ecs_says(cloud, running=1)
    assert FINDERS["ecs"](ECS).state == "settling"


def test_a_forged_success_is_seen_through(cloud: PlayedService) -> None:
    ecs_says(cloud, primary=OLD, image=OLD_IMAGE, newest="ROLLBACK_SUCCESSFUL", reason=f"{BREAKER}.")
    _, verdict = settle(ECS, WANTED, limit_s=5, poll_s=0.01)
    assert (verdict.status, verdict.why) == ("rolled back", f"rag:1 runs, not rag:2: {BREAKER}")


def test_a_rollout_is_waited_for(cloud: PlayedService) -> None:
    ecs_says(cloud, rollout="IN_PROGRESS", running=0)
    later = cloud.answers["/"]

    def soon(body: dict[str, Any]) -> Reply:
        if len(cloud.requests) > 6:
            ecs_says(cloud)
        return later(body)

    cloud.answers["/"] = soon
    running, verdict = settle(ECS, WANTED, limit_s=5, poll_s=0.01)
    assert (running.state, verdict.status) == ("done", "running")


def test_a_rollout_that_never_ends_is_a_timeout(cloud: PlayedService) -> None:
    ecs_says(cloud, rollout="IN_PROGRESS", running=1)
    with pytest.raises(TimedOut, match=r"rag:2 goes on, 1 of 2 replicas after 0\.05 s"):
        settle(ECS, WANTED, limit_s=0.05, poll_s=0.01)


def refused(code: str) -> Callable[[dict[str, Any]], Reply]:
    return lambda _: Reply(400, {"__type": code, "message": "no"}, "application/x-amz-json-1.1")


@pytest.mark.parametrize(
    ("code", "next_step"),
    [("AccessDeniedException", "allow or correct DescribeServices"), ("ExpiredTokenException", "aws sso login")],
)
def test_a_refusal_of_the_cloud_names_the_next_step(code: str, next_step: str, cloud: PlayedService) -> None:
    cloud.answers["/"] = refused(code)
    with pytest.raises(CloudRefused, match=f"{code}.*{next_step}"):
        FINDERS["ecs"](ECS)


def test_missing_credentials_are_a_refusal_with_a_next_step(
    cloud: PlayedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(CloudRefused, match=r"no AWS credentials.*aws configure"):
        FINDERS["ecs"](ECS)
    assert cloud.requests == []


def test_a_service_that_is_gone_is_told(cloud: PlayedService) -> None:
    cloud.says("/", Reply(body={"services": []}))
    with pytest.raises(CloudRefused, match="no active service 'rag'"):
        FINDERS["ecs"](ECS)


def test_a_first_phase_stack_has_no_service_to_ask() -> None:
    with pytest.raises(NotDeployed):
        FINDERS["ecs"](Delivery(topology="ecs"))


def test_an_edge_says_its_release_itself(service: PlayedService) -> None:
    service.says("/readyz", Reply(body={"status": "ready", "release": "0.1.0"}))
    edge = Delivery(topology="hybrid", url=service.url, release=Release(revision="0.1.0"))
    _, verdict = settle(edge, Release(revision="0.1.0"), limit_s=5, poll_s=0.01)
    assert verdict.status == "running"
    _, verdict = settle(edge, Release(revision="0.2.0"), limit_s=5, poll_s=0.01)
    assert verdict.why == "0.1.0 runs, not 0.2.0"


@pytest.mark.parametrize("reply", [Reply(503, {"title": "Not ready"}), Reply(body="<html>"), Reply(body=[])])
def test_an_edge_that_is_not_ready_has_not_settled(reply: Reply, service: PlayedService) -> None:
    service.says("/readyz", reply)
    assert FINDERS["hybrid"](Delivery(topology="hybrid", url=service.url)).state == "settling"


def test_a_topology_without_a_finder_is_refused_by_name() -> None:
    with pytest.raises(NotUsable, match=rf"topology 'abacus'.*{', '.join(FINDERS)}"):
        settle(Delivery(topology="abacus"), WANTED, limit_s=1)


def test_every_finder_is_of_a_topology_that_the_config_knows() -> None:
    from typing import get_args

    from infra.config import Topology

    assert set(running_module.FINDERS) <= set(get_args(Topology))
