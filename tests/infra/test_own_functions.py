"""The stack's own functions: what is in their archives, who calls them, and what they may do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import offline
from infra.components.own_functions import archive as archives
from infra.components.own_functions.archive import FUNCTIONS, archive
from infra.errors import InfraError
from tests.infra.cloud_cases import program

ALL = sorted(each.parent.name for each in FUNCTIONS.glob("*/archive.txt"))


@pytest.fixture(scope="module")
def prod() -> offline.Program:
    return program("prod")


def may(declared: offline.Program, function: str) -> dict[str, Any]:
    policy = json.loads(declared.one("rolePolicy:RolePolicy", f"{function}-role-policy").inputs["policy"])
    return {action: statement for statement in policy["Statement"] for action in statement["Action"]}


@pytest.mark.parametrize("function", ALL)
def test_an_archive_runs_alone(function: str, tmp_path: Path) -> None:
    """Beside it only what Lambda has: boto3. Its packages hide those that are installed here."""
    for path, file in archive(function).items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import opsctl.functions.{function}.handler as made
ours = [m for n, m in sys.modules.items() if n.partition(".")[0] in ("opsctl", "infra", "tenacity", "httpx")]
strangers = [m.__name__ for m in ours if m.__file__ and not m.__file__.startswith({str(tmp_path)!r})]
assert not strangers, strangers
assert callable(made.handler)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


def test_a_requirement_that_is_not_there_or_compiled_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "FUNCTIONS", tmp_path)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "archive.txt").write_text("")
    for requirement, said in (("nowhere-to-be-found>=1", "run `make setup`"), ("pydantic-core==2", "is compiled")):
        (tmp_path / "f" / "requirements.txt").write_text(requirement)
        with pytest.raises(InfraError, match=said):
            archive("f")


def test_the_endpoint_is_brought_back_on_its_alarm_and_on_sagemakers_word(prod: offline.Program) -> None:
    patterns = {
        each.name.rpartition("-")[2]: json.loads(each.inputs["eventPattern"])
        for each in prod.of("EventRule")
        if "redeploy" in each.name
    }
    composite = prod.one("CompositeAlarm", "endpoint-down").inputs
    assert patterns["alarm"]["detail"] == {"alarmName": [composite["alarmName"]], "state": {"value": ["ALARM"]}}
    assert patterns["failed"]["detail"] == {"EndpointName": ["twin"], "EndpointStatus": ["FAILED"]}
    function = prod.one("lambda/function:Function", "redeploy").inputs
    assert function["environment"]["variables"] == {
        "RAG_STACK": "prod",
        "RAG_ENDPOINT": "twin",
        "RAG_BUCKET": prod.outputs["endpoint"]["bucket"],
        "RAG_TOPIC": prod.outputs["topics"]["critical"],
    }
    once = prod.one("FunctionEventInvokeConfig", "redeploy-once").inputs
    assert once["maximumRetryAttempts"] == 0
    assert once["destinationConfig"]["onFailure"]["destination"] == prod.outputs["topics"]["critical"]


def test_the_healer_touches_its_own_endpoint_only(prod: offline.Program) -> None:
    allowed = may(prod, "redeploy")
    made = allowed["sagemaker:CreateEndpoint"]["Resource"]
    assert {each.rpartition(":")[2] for each in made} == {
        "endpoint/twin",
        "endpoint-config/twin-*",
        "inference-component/twin-main",
        "model/twin-*",
    }
    assert allowed["iam:PassRole"]["Resource"] == [prod.outputs["endpoint"]["roleArn"]]
    assert allowed["s3:PutObject"]["Resource"] == [
        f"arn:aws:s3:::{prod.outputs['endpoint']['bucket']}/endpoints/twin/*"
    ]
    assert not [action for action in allowed if action.startswith(("iam:Create", "iam:Put", "iam:Attach"))]


def test_healing_is_switched_off_by_one_key_and_absent_without_an_endpoint() -> None:
    for more in ({"monitoring": {"selfHealing": False}}, {"generation": {"provider": "openai"}}):
        declared = program("prod", **more)
        assert not [each for each in declared.resources if "redeploy" in each.name]
        assert declared.of("MetricAlarm")
