"""What a pause does to each part, call by call, and how it comes back."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from rich.console import Console

from opsctl.aws import standby as at_aws
from opsctl.aws import standby_machines as machines
from opsctl.endpoint.ports import Stored
from opsctl.endpoint.run import Report
from opsctl.errors import CloudRefused
from opsctl.kube.standby import Pods
from opsctl.standby import endpoint
from opsctl.standby.part import Look
from tests.unit.opsctl.conftest import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.opsctl.conftest import PlayedService

QUIET = Console(quiet=True)
REGION = "eu-north-1"


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Stubber]]:
    """Clients that answer what a test says, in order, and refuse everything else."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    stubs: dict[str, Stubber] = {}

    def client(service: str, region: str | None) -> Any:
        if service not in stubs:
            made = boto3.client(service, region_name=region)  # type: ignore[call-overload]
            stubs[service] = Stubber(made)
            stubs[service].activate()
        return stubs[service].client

    for module in (at_aws, machines):
        monkeypatch.setattr(module, "client", client)
    for service in ("ecs", "application-autoscaling", "lambda", "cloudwatch", "eks", "ec2", "autoscaling"):
        client(service, REGION)
    yield stubs
    for stub in stubs.values():
        stub.assert_no_pending_responses()


HELD_SCALING = dict.fromkeys(at_aws.SUSPENDABLE, True)
LOOSE_SCALING = dict.fromkeys(at_aws.SUSPENDABLE, False)
TARGET = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/c/s",
    "ScalableDimension": at_aws.SCALABLE,
    "MinCapacity": 2,
    "MaxCapacity": 4,
    "RoleARN": "arn:aws:iam::123456789012:role/scaling",
    "CreationTime": 0,
}


def scaling(stubbed: dict[str, Stubber], suspended: dict[str, bool]) -> None:
    asked = {"ServiceNamespace": "ecs", "ResourceId": "service/c/s", "ScalableDimension": at_aws.SCALABLE}
    stubbed["application-autoscaling"].add_response(
        "register_scalable_target", {}, {**asked, "SuspendedState": suspended}
    )


class TestAtAws:
    def test_tasks_go_while_the_autoscaler_is_held_and_come_back_to_its_fewest(
        self, stubbed: dict[str, Stubber]
    ) -> None:
        tasks = at_aws.Tasks(REGION, "c", "s")
        ecs, scaler = stubbed["ecs"], stubbed["application-autoscaling"]
        ecs.add_response("describe_services", {"services": [{"desiredCount": 3}]})
        scaler.add_response("describe_scalable_targets", {"ScalableTargets": [TARGET]})
        assert tasks.look() == Look("3 tasks", rests=False, awake="2 tasks")
        scaling(stubbed, HELD_SCALING)
        ecs.add_response("update_service", {}, {"cluster": "c", "service": "s", "desiredCount": 0})
        tasks.rest()
        ecs.add_response("describe_services", {"services": [{"desiredCount": 0}]})
        scaler.add_response(
            "describe_scalable_targets", {"ScalableTargets": [{**TARGET, "SuspendedState": HELD_SCALING}]}
        )
        assert tasks.look() == Look("0 tasks", rests=True, awake="2 tasks")
        scaler.add_response("describe_scalable_targets", {"ScalableTargets": [TARGET]})
        ecs.add_response("update_service", {}, {"cluster": "c", "service": "s", "desiredCount": 2})
        scaling(stubbed, LOOSE_SCALING)
        tasks.wake()

    def test_no_task_with_a_loose_autoscaler_is_no_rest(self, stubbed: dict[str, Stubber]) -> None:
        stubbed["ecs"].add_response("describe_services", {"services": [{"desiredCount": 0}]})
        stubbed["application-autoscaling"].add_response("describe_scalable_targets", {"ScalableTargets": [TARGET]})
        look = at_aws.Tasks(REGION, "c", "s").look()
        assert look is not None
        assert not look.rests

    def test_tasks_whose_autoscaler_is_still_held_are_half_awake(self, stubbed: dict[str, Stubber]) -> None:
        stubbed["ecs"].add_response("describe_services", {"services": [{"desiredCount": 2}]})
        held = {"ScalableTargets": [{**TARGET, "SuspendedState": HELD_SCALING}]}
        stubbed["application-autoscaling"].add_response("describe_scalable_targets", held)
        assert at_aws.Tasks(REGION, "c", "s").look() == Look("2 tasks", rests=False, awake="2 tasks", half=True)

    def test_a_function_that_is_not_warm_again_or_still_held_is_half_awake(self, stubbed: dict[str, Stubber]) -> None:
        function = at_aws.Function(REGION, "f", "live", reserved=None, warm=3, scheduled=True)
        stub, scaler = stubbed["lambda"], stubbed["application-autoscaling"]
        half = Look("no limit, not as promised", rests=False, awake="no limit, 3 warm", half=True)
        stub.add_response("get_function_concurrency", {})
        stub.add_client_error("get_provisioned_concurrency_config", "ProvisionedConcurrencyConfigNotFoundException")
        assert function.look() == half
        for suspended, look in (
            (HELD_SCALING, half),
            (LOOSE_SCALING, Look("no limit", rests=False, awake="no limit, 3 warm")),
        ):
            stub.add_response("get_function_concurrency", {})
            stub.add_response("get_provisioned_concurrency_config", {})
            targets = {"ScalableTargets": [{**TARGET, "SuspendedState": suspended}]}
            asked = {"ServiceNamespace": "lambda", "ResourceIds": ["function:f:live"]}
            scaler.add_response("describe_scalable_targets", targets, asked)
            assert function.look() == look

    def test_a_function_loses_its_warm_instances_and_every_other(self, stubbed: dict[str, Stubber]) -> None:
        function = at_aws.Function(REGION, "f", "live", reserved=None, warm=3)
        stub = stubbed["lambda"]
        stub.add_response("get_function_concurrency", {})
        stub.add_response("get_provisioned_concurrency_config", {})
        assert function.look() == Look("no limit", rests=False, awake="no limit, 3 warm")
        stub.add_response("delete_provisioned_concurrency_config", {}, {"FunctionName": "f", "Qualifier": "live"})
        stub.add_response(
            "put_function_concurrency", {}, {"FunctionName": "f", "ReservedConcurrentExecutions": 0}
        )  # fmt: skip
        function.rest()
        stub.add_response("get_function_concurrency", {"ReservedConcurrentExecutions": 0})
        look = function.look()
        assert look is not None
        assert look.rests
        stub.add_response("delete_function_concurrency", {}, {"FunctionName": "f"})
        warm = {"FunctionName": "f", "Qualifier": "live", "ProvisionedConcurrentExecutions": 3}
        stub.add_response("put_provisioned_concurrency_config", {}, warm)
        function.wake()

    def test_a_function_with_a_limit_gets_it_back(self, stubbed: dict[str, Stubber]) -> None:
        stubbed["lambda"].add_response(
            "put_function_concurrency", {}, {"FunctionName": "f", "ReservedConcurrentExecutions": 50}
        )
        at_aws.Function(REGION, "f", "live", reserved=50, warm=0).wake()

    def test_every_alarm_of_the_stack_is_silenced_a_hundred_at_a_time(self, stubbed: dict[str, Stubber]) -> None:
        stub = stubbed["cloudwatch"]
        names = [f"rag-platform-dev-{number:03}" for number in range(150)]
        found = {"MetricAlarms": [{"AlarmName": name, "ActionsEnabled": True} for name in names]}
        stub.add_response("describe_alarms", found)
        stub.add_response("disable_alarm_actions", {}, {"AlarmNames": names[:100]})
        stub.add_response("disable_alarm_actions", {}, {"AlarmNames": names[100:]})
        at_aws.Alarms(REGION, "rag-platform-dev-").rest()
        stub.add_response("describe_alarms", {"CompositeAlarms": [{"AlarmName": names[0], "ActionsEnabled": False}]})
        assert at_aws.Alarms(REGION, "rag-platform-dev-").look() == Look(
            "0 of 1 tell somebody", rests=True, awake="1 tell somebody"
        )
        stub.add_response("describe_alarms", {"MetricAlarms": []})
        assert at_aws.Alarms(REGION, "rag-platform-dev-").look() is None

    def test_nodes_of_a_group(self, stubbed: dict[str, Stubber]) -> None:
        nodes, stub = machines.Nodes(REGION, "c", "g", 2), stubbed["eks"]
        for size in (0, 2):
            expected = {
                "clusterName": "c", "nodegroupName": "g", "scalingConfig": {"minSize": size, "desiredSize": size}
            }  # fmt: skip
            stub.add_response("update_nodegroup_config", {}, expected)
        nodes.rest()
        nodes.wake()
        stub.add_response("describe_nodegroup", {"nodegroup": {"scalingConfig": {"desiredSize": 2}}})
        assert nodes.look() == Look("2 nodes", rests=False, awake="2 nodes")

    def test_instances_of_a_group(self, stubbed: dict[str, Stubber]) -> None:
        group, stub = machines.Instances(REGION, "g", 2), stubbed["autoscaling"]
        for least in (0, 2):
            stub.add_response("update_auto_scaling_group", {}, {"AutoScalingGroupName": "g", "MinSize": least})
        group.rest()
        group.wake()
        seen = {"AutoScalingGroupName": "g", "MinSize": 0, "MaxSize": 4, "DesiredCapacity": 1, "DefaultCooldown": 1}
        seen |= {"AvailabilityZones": ["a"], "HealthCheckType": "EC2", "CreatedTime": 0}
        stub.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [seen]})
        assert group.look() == Look("1 instances", rests=True, awake="at least 2 instances")

    def test_instances_of_stores_are_stopped_not_ended(self, stubbed: dict[str, Stubber]) -> None:
        hosts, stub = machines.StoreHosts(REGION, ("i-1",)), stubbed["ec2"]

        def in_state(name: str) -> dict[str, Any]:
            return {"Reservations": [{"Instances": [{"InstanceId": "i-1", "State": {"Name": name}}]}]}

        stub.add_response("stop_instances", {}, {"InstanceIds": ["i-1"]})
        stub.add_response("describe_instances", in_state("stopped"))
        hosts.rest()
        stub.add_response("describe_instances", in_state("stopped"))
        assert hosts.look() == Look("0 of 1 run", rests=True, awake="1 run")
        stub.add_response("start_instances", {}, {"InstanceIds": ["i-1"]})
        stub.add_response("describe_instances", in_state("running"))
        hosts.wake()

    def test_hosts_of_which_only_some_run_are_half_awake(self, stubbed: dict[str, Stubber]) -> None:
        states = [{"InstanceId": name, "State": {"Name": name}} for name in ("running", "stopped")]
        stubbed["ec2"].add_response("describe_instances", {"Reservations": [{"Instances": states}]})
        look = machines.StoreHosts(REGION, ("running", "stopped")).look()
        assert look == Look("1 of 2 run", rests=False, awake="2 run", half=True)

    def test_a_refusal_is_told_with_what_was_tried(self, stubbed: dict[str, Stubber]) -> None:
        stubbed["ec2"].add_client_error("stop_instances", "UnauthorizedOperation", "no")
        with pytest.raises(CloudRefused, match="AWS refused to stop the stores' instances: UnauthorizedOperation"):
            machines.StoreHosts(REGION, ("i-1",)).rest()


@dataclass
class Paper:
    """A document in memory."""

    text: str | None = None

    def read(self) -> Stored | None:
        return None if self.text is None else Stored(self.text, "v", 0.0)

    def write(self, text: str, on: str | None) -> str:
        assert (on is None) == (self.text is None)
        self.text = text
        return "v"


class TestModelEndpoint:
    """One that a pause deleted is made again by a resume; one that nobody deployed is not."""

    @pytest.fixture
    def done(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What runs on the endpoint did; the first word is its status now."""
        said = ["InService"]

        @contextmanager
        def opened(_: object, called: str, *__: object, **___: object) -> Iterator[Any]:
            def end(verb: str, status: str) -> Report:
                said[0] = status
                said.append(f"{verb} {called}")
                return Report("dev", called)

            yield SimpleNamespace(delete=lambda: end("delete", ""), deploy=lambda _: end("deploy", "InService"))

        monkeypatch.setattr(endpoint, "opened", opened)
        monkeypatch.setattr(endpoint, "endpoint_state", lambda *_: said[0])
        monkeypatch.setattr(endpoint, "endpoint_instances", lambda *_: 1)
        return said

    def part(self, least: int) -> endpoint.ModelEndpoint:
        generation = SimpleNamespace(endpoint="twin", instance_type="ml.g5.xlarge", scaling=SimpleNamespace(min=least))
        spec = SimpleNamespace(endpoint="twin")
        cfg = SimpleNamespace(generation=generation)
        target: Any = SimpleNamespace(cfg=cfg, region=REGION, spec=lambda *_: spec)
        return endpoint.ModelEndpoint(target, Paper(), QUIET, 10.0)

    def test_a_fixed_fleet_goes_and_comes_back(self, done: list[str]) -> None:
        part = self.part(1)
        assert part.look() == Look("InService, 1 instances", rests=False, awake="1 x ml.g5.xlarge")
        part.rest()
        assert part.look() == Look("deleted by a pause", rests=True, awake="1 x ml.g5.xlarge")
        part.wake()
        assert part.look() == Look("InService, 1 instances", rests=False, awake="1 x ml.g5.xlarge")
        assert done[1:] == ["delete twin", "deploy twin"]

    def test_one_that_nobody_deployed_is_none(self, done: list[str]) -> None:
        done[0] = ""
        assert self.part(1).look() is None

    def test_one_that_sleeps_by_itself_is_left_alone(self, done: list[str]) -> None:
        part = self.part(0)
        look = part.look()
        assert look is not None
        assert (look.stays, "sleeps by itself" in look.now) == (True, True)
        part.wake()
        assert done[1:] == []

    def test_what_a_run_could_not_do_is_raised(self, done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        refused = CloudRefused("no quota", next_step="ask for it")

        @contextmanager
        def opened(*_: object, **__: object) -> Iterator[Any]:
            yield SimpleNamespace(delete=lambda: Report("dev", "twin", error=refused))

        monkeypatch.setattr(endpoint, "opened", opened)
        part = self.part(1)
        with pytest.raises(CloudRefused, match="no quota"):
            part.rest()
        assert part.look() == Look("InService, 1 instances", rests=False, awake="1 x ml.g5.xlarge", half=True)


def test_pods_of_a_cluster_are_scaled_by_its_api(kube_api: PlayedService) -> None:
    asked: list[Any] = []

    def answer(body: dict[str, Any]) -> Reply:
        asked.append(body)
        return Reply(body={"spec": {"replicas": 3}, "metadata": {}, "status": {"replicas": 3}})

    base = "/apis/apps/v1/namespaces/rag-dev"
    for path in (f"{base}/deployments/rag-api/scale", f"{base}/statefulsets/qdrant/scale"):
        kube_api.answers[path] = answer
    service = Pods(REGION, "rag-dev", "rag-dev", "deployment", "rag-api", 2, "pods")
    store = Pods(REGION, "rag-dev", "rag-dev", "stateful_set", "qdrant", 1, "pods of qdrant")
    assert service.look() == Look("3 pods", rests=False, awake="2 pods")
    service.rest()
    store.wake()
    assert asked == [{}, {"spec": {"replicas": 0}}, {"spec": {"replicas": 1}}]
    assert [(verb, path) for verb, path, _ in kube_api.requests][1:] == [
        ("PATCH", f"{base}/deployments/rag-api/scale"),
        ("PATCH", f"{base}/statefulsets/qdrant/scale"),
    ]
