"""What the tests of the stack `dev` share: names, images, edits and what each may change."""

from __future__ import annotations

from typing import Any

import boto3

from tests.e2e.stack import Stack, Step

REGION = "eu-north-1"
IMAGE = "111122223333.dkr.ecr.eu-north-1.amazonaws.com/rag@sha256:"
FIRST, SECOND, THIRD = (IMAGE + digit * 64 for digit in "123")
BROKEN = "111122223333.dkr.ecr.eu-north-1.amazonaws.com/fail-to-start:1"
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
# what says how many copies may run
SHOWN = (
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "copies-at-most"),
    ("aws:cloudwatch/dashboard:Dashboard", "dashboard"),
)
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
# what a user sets -> the operations that this may cause
EDITS: dict[str, tuple[dict[str, Any], set[Step]]] = {
    "image": ({"service.image": SECOND}, NEW_TASK),
    "size": ({"service.cpu": 2, "service.memoryGiB": 8}, NEW_TASK),
    "replicas": (
        {"service.replicas.max": 5},
        {("update", TARGET, "scaling"), ("update", ACTION, "up"), *(("update", *each) for each in SHOWN)},
    ),
    "scaling": ({"scaling.cpuPercent": 60}, {("update", POLICY, "cpu")}),
    "secret": (
        {"secrets.openaiApiKey": "planted-rotated"},
        {(op, VERSION, "openaiApiKey") for op in ("create-replacement", "replace", "delete-replaced", "update")},
    ),
}
THIRD_ZONE = {"network.zones": 3}


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def short(steps: list[Step]) -> set[Step]:
    return {(op, kind, name.removeprefix("rag-platform-dev-e2e-")) for op, kind, name in steps}


def running_task(stack: Stack) -> str:
    """The definition that the service runs now, as ECS says."""
    cluster = stack.outputs()["cluster"]
    (service,) = client("ecs").describe_services(cluster=cluster["name"], services=[cluster["service"]])["services"]
    return str(service["taskDefinition"])
