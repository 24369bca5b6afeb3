"""What `dev` and `prod` leave out, on the real engine: instances, self-hosted stores, endpoints, exec."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.e2e.census import census
from tests.e2e.stack import Stack
from tests.infra.cloud_cases import DIGEST

REGION = "eu-north-1"


@pytest.fixture(scope="module")
def before() -> set[tuple[str, str]]:
    return census(REGION)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, before: set[tuple[str, str]]) -> Iterator[Stack]:
    made = Stack("dev-variants", tmp_path_factory.mktemp("variants"))
    if os.environ.get("CLOUDLAB"):
        made.excluded = ("**aws:dlm/lifecyclePolicy:LifecyclePolicy**",)  # the emulator has no such service
    made.create("dev")
    made.set("secrets.openaiApiKey", "planted-openaiApiKey", secret=True)
    made.set("service.image", DIGEST)
    made.set("retrieval.qdrant", "self-hosted")
    made.set("documents.mongo", "self-hosted")
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


def test_it_comes_up_and_the_second_preview_is_empty(stack: Stack) -> None:
    left = [(op, kind) for op, kind, _ in stack.plan().steps]
    if os.environ.get("CLOUDLAB"):  # the emulator mixes the template's own tags into those that it gives to instances
        left = [step for step in left if step != ("update", "aws:ec2/launchTemplate:LaunchTemplate")]
    assert left == []


def test_the_stores_sit_on_encrypted_volumes_behind_fixed_addresses(stack: Stack) -> None:
    revision = stack.outputs()["release"]["revision"]
    volumes = [each for each in client("ec2").describe_volumes()["Volumes"] if each["Size"] == 50]
    assert [(each["Encrypted"], each["VolumeType"]) for each in volumes] == [(True, "gp3")] * 2
    task = client("ecs").describe_task_definition(taskDefinition=revision)["taskDefinition"]
    environment = {each["name"]: each["value"] for each in task["containerDefinitions"][0]["environment"]}
    addresses = {each["PrivateIpAddress"] for each in client("ec2").describe_network_interfaces()["NetworkInterfaces"]}
    assert environment["QDRANT_CLOUD_URL"].removeprefix("http://").removesuffix(":6333") in addresses
    assert task["requiresCompatibilities"] == ["EC2"]


def test_a_larger_instance_keeps_volume_and_address(stack: Stack) -> None:
    kept = stack.file.read_text()
    stack.set("retrieval.selfHosted.instanceType", "t3.large")
    steps = stack.plan().steps
    stack.file.write_text(kept)
    kinds = {kind for _, kind, _ in steps}
    assert "aws:ec2/instance:Instance" in kinds
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
