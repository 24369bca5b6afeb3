"""The stack `dev` on the real engine and the real AWS provider: up (interrupted twice), edited, failed, destroyed.

The tests share one stack and run in order; each says in its name what it leaves behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.e2e.census import census
from tests.e2e.stack import Stack, interrupt_politely, kill_the_program
from tests.infra.cloud_cases import GOLDEN, VENDORS

REGION = "eu-north-1"
IMAGE = "111122223333.dkr.ecr.eu-north-1.amazonaws.com/rag@sha256:"
FIRST, SECOND = IMAGE + "1" * 64, IMAGE + "2" * 64
HOLDS_DATA = (
    "aws:ebs/volume:Volume",
    "aws:ec2/vpc:Vpc",
    "aws:ecr/repository:Repository",
    "aws:elasticache/replicationGroup:ReplicationGroup",
    "aws:kms/key:Key",
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:s3/bucket:Bucket",
    "aws:secretsmanager/secret:Secret",
)
TASK, SERVICE = "aws:ecs/taskDefinition:TaskDefinition", "aws:ecs/service:Service"
NEW_TASK = {
    ("create-replacement", TASK, "task"),
    ("replace", TASK, "task"),
    ("delete-replaced", TASK, "task"),
    ("update", SERVICE, "service"),
}
TARGET, POLICY, ACTION = (
    f"aws:appautoscaling/{kind}" for kind in ("target:Target", "policy:Policy", "scheduledAction:ScheduledAction")
)
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
# what a user sets -> the operations that this may cause
EDITS: dict[str, tuple[dict[str, Any], set[tuple[str, str, str]]]] = {
    "image": ({"service.image": SECOND}, NEW_TASK),
    "size": ({"service.cpu": 2, "service.memoryGiB": 8}, NEW_TASK),
    "replicas": ({"service.replicas.max": 5}, {("update", TARGET, "scaling"), ("update", ACTION, "up")}),
    "scaling": ({"scaling.cpuPercent": 60}, {("update", POLICY, "cpu")}),
    "secret": (
        {"secrets.openaiApiKey": "planted-rotated"},
        {(op, VERSION, "openaiApiKey") for op in ("create-replacement", "replace", "delete-replaced", "update")},
    ),
}


@pytest.fixture(scope="module")
def before() -> set[tuple[str, str]]:
    return census(REGION)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, before: set[tuple[str, str]]) -> Iterator[Stack]:
    made = Stack("dev-e2e", tmp_path_factory.mktemp("dev"))
    made.create("dev")
    yield made
    if made.resources():  # a test failed on the way
        made.run("destroy", "--yes", "--skip-preview", check=False)


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def short(steps: list[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    return {(op, kind, name.removeprefix("rag-platform-dev-e2e-")) for op, kind, name in steps}


def second_phase(stack: Stack) -> None:
    for name in VENDORS:
        stack.set(f"secrets.{name}", f"planted-{name}", secret=True)
    stack.set("retrieval.url", "https://vectors.example.com:6333")
    stack.set("service.image", FIRST)


def test_first_phase_previews_everything_but_the_workload(stack: Stack) -> None:
    steps = stack.steps()
    assert {op for op, _, _ in steps} == {"create"}
    kinds = {kind for _, kind, _ in steps}
    assert SERVICE not in kinds
    assert "aws:ecr/repository:Repository" in kinds


def test_the_engine_plans_what_the_golden_list_says(stack: Stack) -> None:
    second_phase(stack)
    planned = [(kind, name) for _, kind, name in short(stack.steps()) if not kind.startswith("rag-platform:")]
    lines = sorted(f"{kind} {name}" for kind, name in planned)
    golden = sorted(
        line.replace(" rag-platform-dev-", " ") for line in (GOLDEN / "ecs-dev.txt").read_text().splitlines()
    )
    assert lines == golden


def test_the_policy_pack_has_nothing_to_say(stack: Stack) -> None:
    done = stack.run("preview", "--policy-pack", "infra/policies")
    assert "rag-platform" in done.stdout
    assert "mandatory" not in done.stdout.lower().replace("policies:", "")


def test_an_up_whose_program_is_killed_is_finished_by_the_next_one(stack: Stack) -> None:
    assert stack.interrupt("created", 25, kill_the_program) != 0
    stack.up()
    assert stack.unchanged(), stack.log[-1]


def test_the_task_is_what_the_config_says(stack: Stack) -> None:
    outputs = stack.outputs()
    task = client("ecs").describe_task_definition(taskDefinition=outputs["release"]["revision"])["taskDefinition"]
    (container,) = task["containerDefinitions"]
    assert (task["cpu"], task["memory"], container["image"]) == ("1024", "3072", FIRST)
    assert container["readonlyRootFilesystem"]
    assert container["stopTimeout"] == 45
    assert {each["valueFrom"] for each in container["secrets"]} <= set(outputs["secrets"].values())
    assert "planted" not in json.dumps(task, default=str)


def test_the_service_is_behind_the_target_group(stack: Stack) -> None:
    cluster = stack.outputs()["cluster"]
    (service,) = client("ecs").describe_services(cluster=cluster["name"], services=[cluster["service"]])["services"]
    breaker = service["deploymentConfiguration"]["deploymentCircuitBreaker"]
    assert (breaker["enable"], breaker["rollback"]) == (True, True)
    assert len(service["deploymentConfiguration"]["alarms"]["alarmNames"]) == 3
    (group,) = client("elbv2").describe_target_groups(TargetGroupArns=[service["loadBalancers"][0]["targetGroupArn"]])[
        "TargetGroups"
    ]
    assert (group["HealthCheckPath"], group["HealthCheckIntervalSeconds"], group["TargetType"]) == ("/health", 10, "ip")


def test_scaling_has_the_bounds_and_the_triggers(stack: Stack) -> None:
    assert stack.outputs()["topology"] == "ecs"
    scaling = client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 2)
    policies = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    assert sorted(each["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for each in policies) == [
        70,
        80,
        1000,
    ]


def test_secrets_have_their_values_and_their_own_key(stack: Stack) -> None:
    outputs = stack.outputs()
    secrets = client("secretsmanager")
    assert (
        secrets.get_secret_value(SecretId=outputs["secrets"]["openaiApiKey"])["SecretString"] == "planted-openaiApiKey"
    )
    book = json.loads(secrets.get_secret_value(SecretId=outputs["secrets"]["apiKeys"])["SecretString"])
    key = secrets.get_secret_value(SecretId=outputs["secrets"]["apiKey-default"])["SecretString"]
    (entry,) = book["keys"]
    assert entry["sha256"] == hashlib.sha256(bytes.fromhex(entry["salt"]) + key.encode()).hexdigest()
    for arn in outputs["secrets"].values():
        assert secrets.describe_secret(SecretId=arn)["KmsKeyId"] == outputs["endpoint"]["keyArn"]


def test_the_task_role_can_invoke_the_named_endpoint_only(stack: Stack) -> None:
    iam = client("iam")
    task = client("ecs").describe_task_definition(taskDefinition=stack.outputs()["release"]["revision"])
    role = task["taskDefinition"]["taskRoleArn"].rpartition("/")[2]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    invoke = [each for each in document["Statement"] if "sagemaker:InvokeEndpoint" in each["Action"]]
    assert [resource.rpartition(":")[2] for resource in invoke[0]["Resource"]] == [
        "endpoint/twin",
        "inference-component/twin-*",
    ]


def test_no_secret_is_readable_in_the_state_or_the_output(stack: Stack) -> None:
    arn = stack.outputs()["secrets"]["apiKey-default"]
    key = client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    places = json.dumps(stack.state()) + "".join(stack.log) + stack.file.read_text()
    for value in (*(f"planted-{name}" for name in VENDORS), key):
        assert value not in places


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_only_what_it_should(stack: Stack, edit: str) -> None:
    kept = stack.file.read_text()
    values, allowed = EDITS[edit]
    for path, value in values.items():
        stack.set(path, value, secret=path.startswith("secrets."))
    steps = short(stack.steps())
    stack.file.write_text(kept)
    assert steps
    assert steps <= allowed


def test_a_third_zone_is_added_without_replacing_anything_that_holds_data(stack: Stack) -> None:
    kept = stack.file.read_text()
    stack.set("network.zones", 3)
    steps = short(stack.steps())
    stack.file.write_text(kept)
    assert {name for op, _, name in steps if op == "create"} == {"public-2", "private-2"}
    assert {op for op, _, _ in steps} == {"create", "update"}
    assert not [kind for op, kind, _ in steps if op != "update" and kind in HOLDS_DATA]


def test_applied_edits_arrive_and_the_preview_is_empty_again(stack: Stack) -> None:
    stack.set("service.image", SECOND)
    stack.set("scaling.cpuPercent", 60)
    stack.set("secrets.openaiApiKey", "planted-rotated", secret=True)
    stack.up()
    outputs = stack.outputs()
    assert outputs["release"]["image"] == SECOND
    cluster = outputs["cluster"]
    (service,) = client("ecs").describe_services(cluster=cluster["name"], services=[cluster["service"]])["services"]
    assert service["taskDefinition"] == outputs["release"]["revision"]
    rotated = client("secretsmanager").get_secret_value(SecretId=outputs["secrets"]["openaiApiKey"])
    assert rotated["SecretString"] == "planted-rotated"
    assert stack.unchanged(), stack.log[-1]


def test_an_up_that_is_interrupted_is_finished_by_the_next_one(stack: Stack) -> None:
    stack.set("monitoring.errorRatePercent", 4)
    stack.set("monitoring.p95Seconds", 8)
    stack.set("monitoring.logRetentionDays", 90)
    stack.set("budget.monthlyUsd", 400)
    assert stack.interrupt("updated", 1, interrupt_politely) != 0
    stack.run("cancel", "--yes", check=False)
    stack.up()
    assert stack.unchanged(), stack.log[-1]


def test_a_deployment_that_fails_goes_back_to_the_old_revision(stack: Stack) -> None:
    good = stack.outputs()["release"]["revision"]
    stack.set("service.image", "111122223333.dkr.ecr.eu-north-1.amazonaws.com/fail-to-start:1")
    stack.up(check=False)
    cluster = stack.outputs()["cluster"]
    (service,) = client("ecs").describe_services(cluster=cluster["name"], services=[cluster["service"]])["services"]
    running = client("ecs").describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    assert "fail-to-start" not in running["containerDefinitions"][0]["image"]
    assert service["taskDefinition"] == good
    stack.set("service.image", SECOND)
    stack.up()


def test_destroy_leaves_nothing(stack: Stack, before: set[tuple[str, str]]) -> None:
    stack.run("destroy", "--yes", "--skip-preview")
    assert census(REGION) - before == set()
