from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from opsctl.aws.running import Running
from opsctl.functions.cost_rate import handler as made
from opsctl.functions.cost_rate.rate import prices, rate

RUNNING = {
    "sagemaker.host.ml.g5.2xlarge.hour": Decimal(1),
    "fargate.x86.vcpu_hour": Decimal(4),
    "fargate.x86.gb_hour": Decimal(8),
    "alb.hour": Decimal(1),
}


def test_an_hour_costs_what_a_person_would_compute() -> None:
    found = rate(RUNNING, Decimal("0.10"), prices("us-east-1"))
    by_hand = ("1.515", "0.16192", "0.03556", "0.0225", "0.10")  # 4 x .04048, 8 x .004445
    assert found.usd == sum(Decimal(each) for each in by_hand)
    assert found.unpriced == ()


def test_what_has_no_price_is_counted_and_never_free() -> None:
    found = rate({"ec2.x99.huge.hour": Decimal(3)}, Decimal(0), prices("us-east-1"))
    assert (found.usd, found.unpriced) == (Decimal(0), ("ec2.x99.huge.hour",))
    assert rate(RUNNING, Decimal(0), prices("xx-nowhere-1")).unpriced == tuple(sorted(RUNNING))


class Answers:
    """boto3's client, with pages and answers by operation; what is not here is empty."""

    def __init__(self, **by_operation: dict[str, Any]) -> None:
        self.by_operation = by_operation

    def get_paginator(self, operation: str) -> Any:
        page = self.by_operation.get(operation, EMPTY[operation])
        return type("Pages", (), {"paginate": lambda _, **__: [page]})()

    def describe_replication_groups(self, **_: str) -> dict[str, Any]:
        return self.by_operation["describe_replication_groups"]


EMPTY: dict[str, dict[str, Any]] = {
    "get_resources": {"ResourceTagMappingList": []},
    "describe_instances": {"Reservations": []},
    "describe_volumes": {"Volumes": []},
    "describe_nat_gateways": {"NatGateways": []},
}


def test_a_cache_and_volumes_are_paid_by_the_hour_too(monkeypatch: pytest.MonkeyPatch) -> None:
    arn = "arn:aws:elasticache:us-east-1:111122223333:replicationgroup:rag-cache"
    group = {"Engine": "valkey", "CacheNodeType": "cache.t4g.micro", "MemberClusters": ["a", "b"]}
    cloud = Answers(
        get_resources={"ResourceTagMappingList": [{"ResourceARN": arn}]},
        describe_replication_groups={"ReplicationGroups": [group]},
        describe_volumes={"Volumes": [{"VolumeType": "gp3", "Size": 50}, {"VolumeType": "gp3", "Size": 23}]},
    )
    monkeypatch.setattr(Running, "_client", lambda _, __: cloud)
    found = Running.open("us-east-1", "s").by_price("")
    assert found == {
        "elasticache.valkey.cache.t4g.micro.node_hour": 2,
        "ebs.gp3.gb_month": Decimal(50) / 730 + Decimal(23) / 730,
    }
    priced = rate(found, Decimal(0), prices("us-east-1"))
    assert priced.unpriced == ()
    assert abs(priced.usd - (2 * Decimal("0.0128") + Decimal("0.08") * 73 / 730)) < Decimal("1e-9")


def test_the_metric_is_a_line_of_the_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"RAG_STACK": "s", "RAG_NAMESPACE": "rag-platform/s", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    odd = {**RUNNING, "odd.hour": Decimal(1)}
    monkeypatch.setattr(Running, "by_price", lambda _, endpoint: {} if endpoint else odd)
    monkeypatch.setattr(Running, "spent_usd", lambda _, namespace: Decimal(len(namespace)) / 100)
    assert made.handler({}, None)["unpriced"] == ["odd.hour"]
    line = json.loads(capsys.readouterr().out)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("rag-platform/s", [["Service"]])
    assert (line["hourly_cost_usd"], line["unpriced_resources"], line["Service"]) == (1.87498, 1.0, "rag-platform")
