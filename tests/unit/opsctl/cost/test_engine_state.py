"""A preview or a state is another program's file: what can't be read of it is one line or incomplete, never free."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsctl.cost.engine_state import exported, previewed
from tests.unit.opsctl.conftest import Ended

Run = Callable[..., Ended]
PROD = ("cost-report", "--stack", "prod", "--region", "us-east-1")
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # what the engine writes for a value that it can't know yet


def state(kind: str, inputs: object = None, name: str = "it", **more: object) -> dict[str, Any]:
    urn = f"urn:pulumi:prod::rag-platform::{kind}::{name}"
    return {"urn": urn, "type": kind, "inputs": {} if inputs is None else inputs, **more}


def preview(folder: Path, *steps: dict[str, Any]) -> Path:
    file = folder / "preview.json"
    file.write_text(json.dumps({"steps": steps}))
    return file


@pytest.mark.parametrize(
    ("kind", "inputs", "why"),
    [
        ("aws:ebs/volume:Volume", {}, "size is missing, and not an amount"),
        ("aws:ebs/volume:Volume", {"size": UNKNOWN}, f"size is '{UNKNOWN}', and not an amount"),
        ("aws:ebs/volume:Volume", {"size": -50}, "size is -50, and not an amount"),
        ("aws:ebs/volume:Volume", {"size": float("inf")}, "size is inf, and not an amount"),
        ("aws:ebs/volume:Volume", {"size": {"plaintext": "planted"}}, "size is a dict, and not an amount"),
        ("aws:ecs/service:Service", {"desiredCount": 1}, "0 resources of ecs/taskDefinition:TaskDefinition"),
        ("aws:lb/loadBalancer:LoadBalancer", {"subnets": UNKNOWN}, "and not a list"),
        ("aws:ec2/vpcEndpoint:VpcEndpoint", {"vpcEndpointType": "Interface"}, "subnetIds is missing, and not a list"),
        ("aws:cloudwatch/logGroup:LogGroup", {"name": "/rag/service"}, "retentionInDays is missing"),
        ("aws:cloudwatch/logGroup:LogGroup", {"name": "/of/others"}, "who writes to /of/others is not known"),
        ("aws:s3/bucket:Bucket", {}, "what it will hold is not known"),
    ],
)
def test_inputs_that_can_not_be_priced_make_a_report_incomplete(
    opsctl: Run, tmp_path: Path, kind: str, inputs: object, why: str
) -> None:
    file = preview(tmp_path, {"op": "create", "newState": state(kind, inputs)})
    ended = opsctl(*PROD, "--preview", str(file), "--format", "json", "--strict")
    assert ended.code == 1, ended.err
    (missing,) = json.loads(ended.out)["incomplete"]
    assert missing.startswith("it: can't be priced: ")
    assert why in missing
    assert "planted" not in ended.out + ended.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "file: Input should be a valid dictionary"),
        ('{"steps": 5}', "steps: "),
        ('{"steps": [{"op": "create", "newState": {"urn": 5, "type": "a", "inputs": {}}}]}', "steps.0.newState.urn: "),
        ('{"steps": [{"op": "create", "newState": {"urn": "u", "type": "a", "inputs": null}}]}', "newState.inputs: "),
        ('{"deployment": {}}', "deployment.resources: Field required"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_file_that_is_no_preview_is_one_line(opsctl: Run, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "preview.json"
    file.write_text(text)
    ended = opsctl(*PROD, "--preview", str(file))
    assert ended.code == 2
    assert message in ended.err
    assert len(ended.err.strip().splitlines()) == 1


def test_a_replacement_is_one_resource_and_what_goes_is_none(tmp_path: Path) -> None:
    made, gone = state("aws:ec2/eip:Eip"), state("aws:ec2/eip:Eip", name="gone")
    steps = [{"op": op, "newState": made} for op in ("create-replacement", "replace")]
    file = preview(tmp_path, *steps, {"op": "delete-replaced", "newState": gone}, {"op": "delete", "newState": gone})
    assert [each.name for each in previewed(file).resources] == ["it"]


def test_what_a_state_only_reads_or_is_about_to_delete_costs_the_stack_nothing() -> None:
    kind = "aws:ec2/eip:Eip"
    states = [state(kind), state(kind, name="read", external=True), state(kind, name="old", delete=True)]
    assert [each.name for each in exported(states).resources] == ["it"]


def test_a_preview_stands_for_its_own_topology_in_a_comparison(opsctl: Run, tmp_path: Path) -> None:
    file = preview(tmp_path, {"op": "create", "newState": state("aws:ec2/eip:Eip")})
    ended = opsctl(*PROD, "--preview", str(file), "--compare", "ecs", "--format", "json")
    alone = opsctl(*PROD, "--preview", str(file), "--format", "json")
    assert json.loads(ended.out)["topologies"]["ecs"] == json.loads(alone.out)
    assert opsctl(*PROD, "--preview", str(file), "--optimise").code == 2
