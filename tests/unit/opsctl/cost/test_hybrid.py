"""What a hybrid costs: its cloud half, and what is left out is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.adapters.cloudwatch import CloudWatch
from service.telemetry.push import Minute
from tests.infra import cloud_cases
from tests.unit.opsctl.conftest import Ended
from tests.unit.service.telemetry.test_push import answered

Run = Callable[..., Ended]


@pytest.fixture
def report(opsctl: Run, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def reported(**hybrid: Any) -> dict[str, Any]:
        config = yaml.safe_load((cloud_cases.ROOT / "Pulumi.prod.yaml").read_text())["config"]
        config |= {"rag-platform:topology": "hybrid", "rag-platform:hybrid": hybrid}
        file = tmp_path / "Pulumi.prod.yaml"
        file.write_text(yaml.safe_dump({"config": config}))
        ended = opsctl("cost-report", "--stack-file", str(file), "--region", "us-east-1", "--format", "json")
        assert ended.code == 0, ended.err
        return dict(json.loads(ended.out))

    return reported


def test_the_cloud_half_is_priced_line_by_line(report: Callable[..., dict[str, Any]]) -> None:
    found = report(bundle={"keep": 10})
    assert found["incomplete"] == []
    lines = {line["name"]: line for line in found["lines"]}
    assert Decimal(lines["edge bundles"]["quantity"]) == 1, "ten of 0.1 GB"
    assert {"encryption key", "model weights", "alarm over 2 metrics", "alarm over 1 metric"} <= lines.keys()
    assert any("ml.g5.2xlarge" in name for name in lines)
    assert any("edges download" in text for text in found["notIncluded"])


def test_what_edges_push_is_priced_by_its_names(report: Callable[..., dict[str, Any]]) -> None:
    """Seven of the service and two of the stack's functions over all edges, a sign of life for each."""
    minute = Minute(at=1.0)
    minute.add(answered("cloud"))
    names = {each["MetricName"] for each in CloudWatch("n", host="device", region="x")._data(minute)}
    of_functions = {"hourly_cost_usd", "unpriced_resources"}
    lines = {line["name"]: line for line in report(edge={"hosts": ["local", "ssh://edge@one"]})["lines"]}
    assert Decimal(lines["metrics that edges push"]["quantity"]) == len(names | of_functions) + 1
    assert {"dashboard", "composite alarm"} <= lines.keys()


def test_each_host_is_an_alarm_and_a_metric_more(report: Callable[..., dict[str, Any]]) -> None:
    one, three = (report(edge={"hosts": hosts}) for hosts in (["local"], ["local", "ssh://edge@one", "ssh://edge@two"]))
    more = Decimal(three["totals"]["fixed"]) - Decimal(one["totals"]["fixed"])
    alarm = next(line for line in one["lines"] if line["name"] == "alarm over 1 metric")
    (metrics,) = (line for line in one["lines"] if line["name"] == "metrics that edges push")
    a_metric = Decimal(metrics["monthlyUsd"]) / Decimal(metrics["quantity"])
    assert more == 2 * (Decimal(alarm["monthlyUsd"]) + a_metric)


def test_an_edge_without_a_cloud_half_has_no_bill(report: Callable[..., dict[str, Any]]) -> None:
    found = report(fallback={"kind": "service", "url": "https://rag.example.com"}, bundle={"bucket": False})
    assert Decimal(found["totals"]["monthlyUsd"]) == 0
