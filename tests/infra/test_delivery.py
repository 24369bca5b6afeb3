"""The stack outputs are a public contract: names, spelling, and absent parts as null."""

from __future__ import annotations

import pytest

from infra.delivery import Bundle, Cluster, Delivery, Endpoint, Logs, Release, outputs
from tests.infra.cloud_cases import program

NAMES = [
    "bundle",
    "cluster",
    "costTags",
    "dashboardUrl",
    "endpoint",
    "healthUrl",
    "jobs",
    "logs",
    "promises",
    "region",
    "registry",
    "release",
    "rollout",
    "secrets",
    "topics",
    "topology",
    "url",
]


def test_an_empty_delivery_still_has_every_name() -> None:
    found = outputs(Delivery(url=None, health_url=None, topology="ecs", release=Release()))
    assert sorted(found) == NAMES
    assert {name for name, value in found.items() if value is not None} == {"topology", "release"}


def test_parts_are_spelled_as_the_contract_says() -> None:
    endpoint = Endpoint(name="twin", role_arn="r", bucket="b", key_arn="k", subnets=["s"], security_group="g")
    assert outputs(endpoint) == {
        "name": "twin",
        "roleArn": "r",
        "bucket": "b",
        "keyArn": "k",
        "subnets": ["s"],
        "securityGroup": "g",
    }
    assert sorted(outputs(Release())) == ["image", "revision"]
    assert sorted(outputs(Logs(kind="cloudwatch"))) == ["group", "kind", "selector"]
    assert sorted(outputs(Cluster(name="c"))) == ["name", "service"]
    assert sorted(outputs(Bundle(bucket="b", prefix="p"))) == ["bucket", "prefix"]


def test_parts_are_spelled_inside_a_delivery_too() -> None:
    delivery = Delivery(
        url="u", health_url="h", topology="ecs", release=Release(image="i"), cluster=Cluster(name="c", service="s")
    )
    found = outputs(delivery)
    assert found["release"] == {"image": "i", "revision": None}
    assert found["cluster"] == {"name": "c", "service": "s"}


@pytest.mark.parametrize(("topology", "p95"), [("ecs", 10.0), ("eks", 10.0), ("lambda", 10.0), ("hybrid", None)])
def test_every_topology_says_what_it_promises(topology: str, p95: float | None) -> None:
    found = program("dev", topology=topology).outputs["promises"]
    assert list(found["collections"]) == ["posts", "articles", "repos"]
    assert found["p95Seconds"] == p95
