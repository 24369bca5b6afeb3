"""The burn rate: what runs now, by the hour, from the engine's state and the counts behind it."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from opsctl import stack as engine
from opsctl.cost import usage
from opsctl.cost.engine_state import exported
from opsctl.cost.pricing import Pricing
from opsctl.cost.views import live
from opsctl.cost.views.live import Running
from opsctl.errors import NotDeployed
from opsctl.project import Project
from tests.infra import cloud_cases
from tests.unit.opsctl.cost.conftest import TODAY


@cache
def state() -> list[dict[str, Any]]:
    """The stack as `pulumi stack export` lists it."""
    resources = cloud_cases.program("prod").resources
    return [{"urn": each.urn, "type": each.type, "inputs": dict(each.inputs)} for each in resources]


def burning(running: Running) -> dict[str, Any]:
    tree = cloud_cases.merged(cloud_cases.stack_file("prod"), cloud_cases.second_phase())
    pricing = Pricing("prod", tree, usage.load("expected"), TODAY, "us-east-1")
    return dict(live.sheet(pricing, exported(state()), running).document)


def by_id(document: dict[str, Any]) -> dict[str, Decimal]:
    return {each["id"]: Decimal(each["hourlyUsd"]) for each in document["lines"]}


def test_the_tasks_and_instances_that_run_are_what_burns() -> None:
    lines = by_id(burning(Running(tasks=3, instances=2)))
    assert lines["rag-platform-prod-service/fargate.x86.vcpu_hour"] == 3 * 2 * Decimal("0.04048")
    assert lines["endpoint twin/sagemaker.host.ml.g5.2xlarge.hour"] == 2 * Decimal("1.515")
    assert lines["rag-platform-prod-nat-0/nat.hour"] == Decimal("0.045")


def test_a_sleeping_endpoint_burns_nothing_and_only_hours_are_in_a_rate() -> None:
    document = burning(Running(tasks=0, instances=0))
    lines = by_id(document)
    assert not [each for each in lines if each.startswith("endpoint")]
    assert not [each for each in lines if "fargate" in each]
    assert all(each.endswith("hour") for each in lines)
    assert Decimal(document["hourlyUsd"]) == sum(lines.values())


def test_the_resources_are_those_of_the_engines_state(tmp_path: Path) -> None:
    program = tmp_path / ".tools" / "bin" / "pulumi"
    program.parent.mkdir(parents=True)
    (tmp_path / "export.json").write_text(json.dumps({"deployment": {"resources": state()}}))
    program.write_text(f'#!/bin/sh\ntest "$2" = export && cat {tmp_path}/export.json\n')
    program.chmod(0o755)
    assert engine.read_resources(Project(tmp_path), "prod", {"PATH": "/usr/bin:/bin"}) == state()
    (tmp_path / "export.json").write_text(json.dumps({"deployment": {}}))
    with pytest.raises(NotDeployed, match="stack 'prod' has no resources"):
        engine.read_resources(Project(tmp_path), "prod", {"PATH": "/usr/bin:/bin"})
