"""What `dev` and `prod` leave out, on the real engine: instances, a Qdrant cluster, llama.cpp, endpoints, exec."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.e2e.census import census
from tests.e2e.stack import Stack, Step
from tests.infra.cloud_cases import DIGEST

REGION = "eu-north-1"
LLAMA = "registry.example.com/llama@sha256:" + "3" * 64


@pytest.fixture(scope="module")
def before() -> set[tuple[str, str]]:
    return census(REGION)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, before: set[tuple[str, str]]) -> Iterator[Stack]:
    made = Stack("dev-variants", tmp_path_factory.mktemp("variants"))
    if os.environ.get("CLOUDLAB"):
        # the emulator has no such service, nor what refers to it: the alarm on its metric, the page that shows it
        made.excluded += ("**aws:dlm/lifecyclePolicy:LifecyclePolicy**", "**::*-backup-*-volumes")
        made.excluded += ("**aws:cloudwatch/dashboard:Dashboard**",)
    made.create("dev")
    made.set("secrets.openaiApiKey", "planted-openaiApiKey", secret=True)
    made.set("service.image", DIGEST)
    made.set("retrieval.qdrant", "self-hosted")
    made.set("retrieval.selfHosted.instances", 2)
    made.set("retrieval.selfHosted.replicas", 2)
    made.set("documents.mongo", "self-hosted")
    made.set("generation.provider", "llamacpp")
    made.set("generation.model", "/models/small.gguf")
    made.set("generation.llamacpp.image", LLAMA)
    made.set("generation.llamacpp.cpu", 0.5)
    made.set("generation.llamacpp.memoryGiB", 1.5)
    made.set("access.keys.default.revision", 2)
    made.set("access.keys.batch.requestsPerMinute", 600)
    made.set("monitoring.slack.workspaceId", "T0123456789")
    made.set("monitoring.slack.channelId", "C0123456789")
    made.set("budget.hourlyUsd", 2)
    made.set("cache.redis", "none")
    made.set("network.interfaceEndpoints[0]", "secretsmanager")
    made.set("ecs.capacity", "ec2")
    made.set("ecs.instanceType", "t3.large")
    made.set("ecs.exec", value=True)
    made.up()
    yield made
    if made.resources():
        made.run("destroy", "--yes", "--skip-preview", check=False)


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def changes(stack: Stack) -> list[Step]:
    """What the next `up` would do."""
    found = stack.plan().steps
    if os.environ.get("CLOUDLAB"):  # the emulator mixes the template's own tags into those that it gives to instances
        found = [step for step in found if step[:2] != ("update", "aws:ec2/launchTemplate:LaunchTemplate")]
    return found


def test_it_comes_up_and_the_second_preview_is_empty(stack: Stack) -> None:
    assert changes(stack) == []


def described(stack: Stack) -> dict[str, Any]:
    """The task definition that the stack asked for, its containers by name."""
    revision = stack.outputs()["release"]["revision"]
    task = client("ecs").describe_task_definition(taskDefinition=revision)["taskDefinition"]
    return {**task, "containers": {each["name"]: each for each in task["containerDefinitions"]}}


def told(stack: Stack) -> dict[str, str]:
    return {each["name"]: each["value"] for each in described(stack)["containers"]["service"]["environment"]}


def test_the_stores_sit_on_encrypted_volumes_in_several_zones(stack: Stack) -> None:
    volumes = [each for each in client("ec2").describe_volumes()["Volumes"] if each["Size"] == 50]
    assert [(each["Encrypted"], each["VolumeType"]) for each in volumes] == [(True, "gp3")] * 3
    assert len({each["AvailabilityZone"] for each in volumes}) == 2
    assert described(stack)["requiresCompatibilities"] == ["EC2"]


def test_the_service_reaches_the_cluster_through_its_inner_balancer(stack: Stack) -> None:
    balancers = client("elbv2").describe_load_balancers()["LoadBalancers"]
    (inner,) = [each for each in balancers if each["Type"] == "network"]
    assert inner["Scheme"] == "internal"
    assert told(stack)["QDRANT_CLOUD_URL"] == f"http://{inner['DNSName']}:6333"
    (group,) = client("elbv2").describe_target_groups(LoadBalancerArn=inner["LoadBalancerArn"])["TargetGroups"]
    health = client("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupArn"])
    addresses = {each["PrivateIpAddress"] for each in client("ec2").describe_network_interfaces()["NetworkInterfaces"]}
    targets = {each["Target"]["Id"] for each in health["TargetHealthDescriptions"]}
    assert len(targets) == 2
    assert targets <= addresses


def test_llama_runs_beside_the_service_and_is_healthy_first(stack: Stack) -> None:
    containers = described(stack)["containers"]
    assert containers["llama"]["image"] == LLAMA
    assert containers["service"]["dependsOn"] == [{"containerName": "llama", "condition": "HEALTHY"}]
    assert (containers["service"]["memory"], containers["llama"]["memory"]) == (1536, 1536)
    assert told(stack)["RAG_LLAMACPP_URL"] == "http://127.0.0.1:8081"


def test_each_caller_has_a_key_and_alarms_have_a_channel(stack: Stack) -> None:
    outputs = stack.outputs()
    secrets = client("secretsmanager")
    book = json.loads(secrets.get_secret_value(SecretId=outputs["secrets"]["apiKeys"])["SecretString"])
    assert {each["name"]: each.get("requestsPerMinute") for each in book["keys"]} == {"batch": 600, "default": None}
    assert {"apiKey-batch", "apiKey-default"} <= set(outputs["secrets"])
    kinds = [urn.rpartition("::")[0].rpartition("$")[2] for urn in stack.resources()]
    assert "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration" in kinds
    assert kinds.count("aws:budgets/budget:Budget") == 2


def test_another_revision_makes_another_key_and_touches_nothing_else(stack: Stack) -> None:
    kept = stack.file.read_text()
    stack.set("access.keys.batch.revision", 2)
    steps = changes(stack)
    stack.file.write_text(kept)
    names = {name.removeprefix("rag-platform-dev-variants-") for _, _, name in steps}
    assert {"api-key-batch", "api-salt-batch"} <= names
    assert names <= {"api-key-batch", "api-salt-batch", "apiKey-batch", "apiKeys"}


def test_a_larger_instance_keeps_volume_and_address(stack: Stack) -> None:
    kept = stack.file.read_text()
    stack.set("retrieval.selfHosted.instanceType", "t3.large")
    steps = stack.plan().steps
    stack.file.write_text(kept)
    kinds = {kind for _, kind, _ in steps}
    assert len([kind for _, kind, _ in steps if kind == "aws:ec2/instance:Instance"]) >= 2
    assert not kinds & {"aws:ebs/volume:Volume", "aws:ec2/networkInterface:NetworkInterface"}
    assert not [name for _, kind, name in steps if kind.startswith("aws:ecs/")]


def test_no_instance_is_told_a_credential(stack: Stack) -> None:
    assert stack.outputs()["topology"] == "ecs"
    secrets = client("secretsmanager")
    names = [each["Name"] for each in secrets.list_secrets()["SecretList"] if "-token-" in each["Name"]]
    tokens = [secrets.get_secret_value(SecretId=name)["SecretString"] for name in names]
    assert len(tokens) == 2
    for instance in [
        each for group in client("ec2").describe_instances()["Reservations"] for each in group["Instances"]
    ]:
        told = client("ec2").describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
        assert not [token for token in tokens if token in json.dumps(told, default=str)]


def test_destroy_leaves_nothing(stack: Stack, before: set[tuple[str, str]]) -> None:
    stack.run("destroy", "--yes", "--skip-preview")
    assert census(REGION) - before == set()
