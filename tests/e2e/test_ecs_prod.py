"""The stack `prod` on the real engine and the real AWS provider: up, scanned, a data store moved in, destroyed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.e2e import scan
from tests.e2e.census import census
from tests.e2e.stack import Stack
from tests.infra.cloud_cases import DIGEST, VENDORS

REGION = "eu-north-1"


@pytest.fixture(scope="module")
def zone() -> Iterator[str]:
    """The hosted zone that the user has."""
    route53: Any = boto3.client("route53", region_name=REGION)
    made = route53.create_hosted_zone(Name="example.com", CallerReference="e2e")["HostedZone"]["Id"]
    yield made
    route53.delete_hosted_zone(Id=made)


@pytest.fixture(scope="module")
def before() -> set[tuple[str, str]]:
    return census(REGION)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, zone: str, before: set[tuple[str, str]]) -> Iterator[Stack]:
    made = Stack("prod-e2e", tmp_path_factory.mktemp("prod"))
    made.create("prod")
    made.set("monitoring.canaryMinutes", 0)  # the emulator knows no layer of another account (CreateFunction)
    for name in VENDORS:
        made.set(f"secrets.{name}", f"planted-{name}", secret=True)
    made.set("retrieval.url", "https://vectors.example.com:6333")
    made.set("service.image", DIGEST)
    made.up()
    yield made
    if made.resources():  # a test failed on the way
        made.set("protect", value=False)
        made.up(check=False)
        made.run("destroy", "--yes", "--skip-preview", check=False)


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def test_prod_comes_up_and_the_second_preview_is_empty(stack: Stack) -> None:
    assert stack.outputs()["url"] == "https://api.example.com"
    assert stack.unchanged(), stack.log[-1]


def test_the_front_door_speaks_tls_behind_a_firewall(stack: Stack) -> None:
    assert stack.outputs()["topology"] == "ecs"
    elb = client("elbv2")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    assert {(each["Port"], each["Protocol"]) for each in listeners} == {(443, "HTTPS"), (80, "HTTP")}
    (redirect,) = [each for each in listeners if each["Port"] == 80]
    assert redirect["DefaultActions"][0]["Type"] == "redirect"
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]
    assert {each["Key"]: each["Value"] for each in attributes}["deletion_protection.enabled"] == "true"
    acl = client("wafv2").get_web_acl_for_resource(ResourceArn=balancer["LoadBalancerArn"])["WebACL"]
    assert len(acl["Rules"]) == 5


def test_the_name_points_at_the_front_door(stack: Stack, zone: str) -> None:
    assert stack.outputs()["healthUrl"] == "https://api.example.com/health"
    records = client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert [each["Name"] for each in records if each["Type"] == "A"] == ["api.example.com."]


def test_three_zones_have_a_nat_gateway_each(stack: Stack) -> None:
    assert stack.config()["rag-platform:network"]["nat"] == "per-zone"
    nats = client("ec2").describe_nat_gateways()["NatGateways"]
    assert len({each["SubnetId"] for each in nats if each["State"] != "deleted"}) == 3


def test_the_scan_finds_nothing_that_is_not_waived(stack: Stack, tmp_path: Path) -> None:
    found, accepted = scan.findings(stack.exported(tmp_path)), scan.waivers()
    assert scan.unwaived(found, accepted) == []
    assert scan.unused(found, accepted) == []


def test_a_protected_stack_refuses_to_be_destroyed(stack: Stack) -> None:
    done = stack.run("destroy", "--preview-only", check=False)
    assert done.returncode != 0
    assert "protect" in done.stdout + done.stderr


def test_destroy_after_lifting_the_protection_leaves_nothing(stack: Stack, before: set[tuple[str, str]]) -> None:
    stack.set("protect", value=False)
    stack.up()
    stack.run("destroy", "--yes", "--skip-preview")
    assert census(REGION) - before == set()
