"""A function's requests move to a new version: who starts it, who waits, and what a failed move is called."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from opsctl.aws.traffic import AT_ONCE
from opsctl.deploy.running import FINDERS, mover_of, settle
from opsctl.deploy.shift import Mover, Shift, plan
from opsctl.errors import CloudRefused, NotDeployed, NotUsable, TimedOut
from opsctl.stack import Cluster, Delivery, Release, Rollout
from tests.unit.opsctl.conftest import Reply
from tests.unit.opsctl.played_function import ALIAS, APPLICATION, ARN, GROUP, NAME, PlayedFunction, image
from tests.unit.opsctl.world import World

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import PlayedService, Run

GOING, DONE = Shift("d-1", "2", going_on=True, undone=None), Shift("d-1", "2", going_on=False, undone=None)
STACK = Delivery(
    topology="lambda",
    region="eu-north-1",
    cluster=Cluster(name=NAME, service=ALIAS),
    rollout=Rollout(application=APPLICATION, group=GROUP),
)
AT_ONCE_STACK = STACK.model_copy(update={"rollout": None})


def wanted(version: str) -> Release:
    return Release(image=image(version), revision=f"{ARN}:{version}")


@pytest.fixture
def function(aws: PlayedService) -> PlayedFunction:
    return PlayedFunction(aws)


@pytest.mark.parametrize(
    ("answers", "newest", "hurried", "step"),
    [
        ("2", None, False, "nothing"),
        ("2", DONE, False, "nothing"),
        ("1", None, False, "start"),
        ("1", Shift("d-1", "2", going_on=False, undone="ALARM_ACTIVE"), False, "start"),
        ("1", GOING, False, "wait"),
        ("1", GOING, True, "wait"),
        ("1", Shift("d-1", "3", going_on=True, undone=None), True, "stop, then start"),
        ("2", Shift("d-1", "3", going_on=True, undone=None), True, "stop, then start"),
    ],
)
def test_what_has_to_be_begun(answers: str, newest: Shift | None, hurried: bool, step: str) -> None:  # noqa: FBT001
    assert plan(answers=answers, wanted="2", newest=newest, hurried=hurried) == step


def test_another_versions_rollout_is_not_cut_off_unasked() -> None:
    with pytest.raises(NotUsable, match=r"version 3 is being rolled out \(d-9\).*opsctl rollback"):
        plan(answers="1", wanted="2", newest=Shift("d-9", "3", going_on=True, undone=None), hurried=False)


@dataclass
class StuckShifts:
    """A rollout that nothing ends."""

    begun: list[str] = field(default_factory=list)

    def newest(self) -> Shift:
        return Shift("d-1", "3", going_on=True, undone=None)

    def start(self, function: str, alias: str, current: str, target: str, *, at_once: bool) -> str:
        self.begun.append(f"{function}:{alias} {current} {target} {at_once}")
        return "d-2"

    def stop(self, shift: str) -> None:
        self.begun.append(f"stop {shift}")


def test_a_way_back_waits_for_what_it_stopped_and_says_so_where_it_never_ends() -> None:
    shifts = StuckShifts()
    with pytest.raises(TimedOut, match=r"d-1 does not end after 0\.05 s"):
        Mover(shifts, NAME, ALIAS, lambda: "2").move("1", hurried=True, limit_s=0.05, poll_s=0.01)
    assert shifts.begun == ["stop d-1"]


def test_a_version_that_nothing_sends_requests_to_is_no_success(function: PlayedFunction) -> None:
    """`pulumi up` alone publishes and ends: the platform's word is the old version."""
    _, verdict = settle(STACK, wanted("2"), limit_s=5, poll_s=0.01)
    assert (verdict.status, verdict.why) == ("rolled back", "rag:1 runs, not rag:2")
    assert function.started == []


def test_a_deployment_moves_the_requests_and_sees_them_arrive(function: PlayedFunction) -> None:
    assert mover_of(STACK).move("2", hurried=False, limit_s=5) == "start"
    running, verdict = settle(STACK, wanted("2"), limit_s=5, poll_s=0.01)
    assert (verdict.status, running.images) == ("running", (image("2"),))
    (asked,) = function.started
    assert (asked["applicationName"], asked["deploymentGroupName"]) == (APPLICATION, GROUP)
    assert "deploymentConfigName" not in asked  # the stack's own pace
    spec = json.loads(asked["revision"]["appSpecContent"]["content"])["Resources"][0]["function"]["Properties"]
    assert spec == {"Name": NAME, "Alias": ALIAS, "CurrentVersion": "1", "TargetVersion": "2"}
    assert mover_of(STACK).move("2", hurried=False, limit_s=5) == "nothing"
    assert len(function.started) == 1


def test_an_alarm_takes_the_requests_back_and_the_reason_is_told(function: PlayedFunction) -> None:
    function.ends_as = "Failed"
    mover_of(STACK).move("2", hurried=False, limit_s=5)
    _, verdict = settle(STACK, wanted("2"), limit_s=5, poll_s=0.01)
    assert verdict.status == "rolled back"
    assert verdict.why == "rag:1 runs, not rag:2: ALARM_ACTIVE: One or more alarms have been activated"
    function.ends_as = "Succeeded"
    assert mover_of(STACK).move("2", hurried=False, limit_s=5) == "start"  # asked again, it is tried again


def test_the_platforms_own_way_back_is_told_by_what_it_undid(function: PlayedFunction) -> None:
    function.shifts = [
        {"deploymentId": "d-1", "status": "Failed", "errorInformation": {"code": "ALARM_ACTIVE"}},
        {
            "deploymentId": "d-2",
            "status": "Succeeded",
            "rollbackInfo": {"rollbackTriggeringDeploymentId": "d-1"},
        },
    ]
    running = FINDERS["lambda"](STACK)
    assert (running.state, running.reason) == ("done", "ALARM_ACTIVE")


def test_a_way_back_is_at_once_and_no_alarm_stops_it(function: PlayedFunction) -> None:
    function.looks = 99
    mover_of(STACK).move("2", hurried=False, limit_s=5)
    assert mover_of(STACK).move("3", hurried=True, limit_s=5) == "stop, then start"
    hurried = function.started[-1]
    assert hurried["deploymentConfigName"] == AT_ONCE
    assert hurried["overrideAlarmConfiguration"]["enabled"] is False


def test_the_alias_alone_decides_where_the_engine_moves_it(function: PlayedFunction) -> None:
    function.answers = "2"
    assert settle(AT_ONCE_STACK, wanted("2"), limit_s=5, poll_s=0.01)[1].status == "running"
    assert settle(AT_ONCE_STACK, wanted("3"), limit_s=5, poll_s=0.01)[1].why == "rag:2 runs, not rag:3"
    wrong = Release(image=image("7"), revision=f"{ARN}:2")
    assert settle(AT_ONCE_STACK, wrong, limit_s=5, poll_s=0.01)[1].status == "rolled back"
    assert function.started == []


@pytest.mark.parametrize(
    ("changed", "state", "ready"),
    [
        ({"state": {"State": "Pending", "StateReason": "creating"}}, "settling", None),
        ({"state": {"State": "Inactive"}}, "done", None),
        ({"state": {"State": "Failed", "StateReason": "the image is gone"}}, "failed", None),
        ({"weights": {"2": 0.1}}, "settling", None),
        ({"warm": {"Status": "IN_PROGRESS", "RequestedProvisionedConcurrentExecutions": 2}}, "settling", 0),
        (
            {
                "warm": {
                    "Status": "READY",
                    "RequestedProvisionedConcurrentExecutions": 2,
                    "AvailableProvisionedConcurrentExecutions": 2,
                }
            },
            "done",
            2,
        ),
        (
            {"warm": {"Status": "FAILED", "StatusReason": "no room", "RequestedProvisionedConcurrentExecutions": 2}},
            "failed",
            0,
        ),
    ],
)
def test_what_counts_as_settled(changed: dict[str, Any], state: str, ready: int | None, aws: PlayedService) -> None:
    PlayedFunction(aws, **changed)
    running = FINDERS["lambda"](AT_ONCE_STACK)
    assert (running.state, running.ready_replicas) == (state, ready)


def test_a_zip_is_known_by_the_digest_of_its_content(aws: PlayedService) -> None:
    digest = hashlib.sha256(b"code").digest()
    state = {"State": "Active", "PackageType": "Zip", "CodeSha256": b64encode(digest).decode()}
    PlayedFunction(aws, state=state)
    assert FINDERS["lambda"](AT_ONCE_STACK).images == (f"zip@sha256:{digest.hex()}",)


def test_a_refusal_names_what_was_asked(aws: PlayedService) -> None:
    PlayedFunction(aws)
    aws.says("/", Reply(400, {"__type": "AccessDeniedException", "message": "no"}, "application/x-amz-json-1.1"))
    with pytest.raises(CloudRefused, match=r"rollouts of 'rag-rollout'.*allow or correct GetDeploymentGroup"):
        mover_of(STACK).move("2", hurried=False, limit_s=5)


def test_a_first_phase_stack_has_no_function_to_ask() -> None:
    for ask in (FINDERS["lambda"], mover_of):
        with pytest.raises(NotDeployed):
            ask(Delivery(topology="lambda"))


PROGRAM = f"""
import pulumi

service = pulumi.Config("rag-platform").get_object("service") or {{}}
version = (service.get("image") or "").rpartition("-")[2]
pulumi.ComponentResource("rag-platform:topology:Serverless", "rag-" + version)
pulumi.export("topology", "lambda")
pulumi.export("region", "eu-north-1")
pulumi.export("url", "URL")
pulumi.export("release", {{"image": service.get("image"), "revision": "{ARN}:" + version}})
pulumi.export("cluster", {{"name": "{NAME}", "service": "{ALIAS}"}})
pulumi.export("rollout", {{"application": "{APPLICATION}", "group": "{GROUP}"}})
"""


@pytest.mark.pulumi
def test_the_operators_day_with_a_canary(opsctl: Run, world: World) -> None:
    """Rolled out bit by bit, taken back by an alarm, and gone back from at once."""
    (world.root / "__main__.py").write_text(PROGRAM.replace("URL", world.service.url))
    function = PlayedFunction(world.service, looks=0)
    words = ("--stack", "dev", "--yes", "--no-smoke-test", "-o", "json")

    good = opsctl("deploy", *words, "--no-preflight", "--no-rollback", "--image", image("2"))
    assert good.code == 0, good.err
    assert "the requests move to version 2 of rag" in good.err
    assert (good.document["verdict"]["why"], function.answers) == ("rag:2 runs", "2")

    function.ends_as, function.looks = "Failed", 0
    bad = opsctl("deploy", *words, "--no-preflight", "--no-rollback", "--image", image("3"))
    assert bad.code == 5
    assert bad.document["verdict"]["why"].startswith("rag:2 runs, not rag:3: ALARM_ACTIVE")
    assert "opsctl rollback --stack dev" in bad.err.splitlines()[-1]

    function.ends_as, function.looks = "Succeeded", 0
    back = opsctl("rollback", *words)
    assert back.code == 0, back.err
    assert back.document["running"]["images"] == [image("2")]
