"""The preflight of the model endpoint against a cloud: what it asks is answered, and it changes nothing."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from opsctl.cli import main
from opsctl.endpoint.chat_template import template_environment
from opsctl.endpoint.preflight.facts import Quota
from opsctl.endpoint.preflight.run import preflight
from opsctl.endpoint.spec import EndpointSpec
from opsctl.preflight.check import Check
from opsctl.settings import Hub
from tests.e2e.handed_over import handed_over
from tests.unit.opsctl.endpoint.specs import CLASSIC
from tests.unit.opsctl.endpoint.test_fit import LLAMA_8B

REGION = "us-east-1"


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def spec(cloud: None) -> EndpointSpec:
    iam, kms = (boto3.client(service, region_name=REGION) for service in ("iam", "kms"))
    role = iam.create_role(RoleName=f"x-{uuid.uuid4().hex}", AssumeRolePolicyDocument=trust("sagemaker.amazonaws.com"))
    return replace(
        CLASSIC,
        region=REGION,
        endpoint=f"twin-{uuid.uuid4().hex[:8]}",
        role_arn=role["Role"]["Arn"],
        key_arn=kms.create_key()["KeyMetadata"]["Arn"],
        environment=template_environment("vllm", has_template=False),
    )


@pytest.fixture
def bucket(cloud: None) -> str:
    name = f"weights-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=name)
    return name


def looked(spec: EndpointSpec, bucket: str) -> dict[str, Check]:
    return {check.name: check for check in preflight(spec, bucket, Hub(), "all-at-once")}


def test_every_check_is_answered_and_nothing_is_changed(spec: EndpointSpec, bucket: str) -> None:
    calls = f"{os.environ['AWS_ENDPOINT_URL']}/emulator/calls"
    httpx.delete(calls, trust_env=False)
    found = looked(spec, bucket)
    assert not [call for call in httpx.get(calls, trust_env=False).json()["calls"] if call["mutating"]]
    good = {name: check.status for name, check in found.items() if name not in {"quota", "role"}}
    assert set(good.values()) == {"ok"}, found
    assert found["role"].status in {"ok", "unknown"}  # whether IAM can simulate depends on the cloud
    assert found["quota"].status == "failed"  # new accounts may run no GPU
    assert "0 ml.g5.2xlarge allowed" in found["quota"].evidence
    assert "1.515 USD an hour" in found["cost"].evidence


def test_what_runs_already_counts_against_the_quota(spec: EndpointSpec, bucket: str) -> None:
    sagemaker, kind = boto3.client("sagemaker", region_name=REGION), "ml.m5.xlarge"
    made = {spec.endpoint: 1, f"other-{uuid.uuid4().hex[:8]}": 2}
    for name, count in made.items():
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=spec.role_arn, PrimaryContainer={"Image": spec.image})
        variant = {"VariantName": "main", "ModelName": name, "InstanceType": kind, "InitialInstanceCount": count}
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    try:
        quota = looked(replace(spec, instance_type=kind), bucket)["quota"]
        assert (quota.status, quota.evidence[:28]) == ("ok", "4 ml.m5.xlarge allowed, 3 ru")
        assert looked(replace(spec, instance_type=kind, endpoint="third"), bucket)["quota"].status == "failed"
    finally:
        for name in made:
            sagemaker.delete_endpoint(EndpointName=name)
            sagemaker.delete_model(ModelName=name)


def test_what_is_missing_is_named(spec: EndpointSpec, bucket: str) -> None:
    iam = boto3.client("iam", region_name=REGION)
    stranger = iam.create_role(RoleName=f"x-{uuid.uuid4().hex}", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    assert spec.key_arn is not None
    boto3.client("kms", region_name=REGION).schedule_key_deletion(KeyId=spec.key_arn.rpartition("/")[2])
    wrong = replace(spec, instance_type="ml.g5.16xlarge", role_arn=stranger["Role"]["Arn"])
    found = looked(wrong, f"{bucket}-absent")
    assert {name for name, check in found.items() if check.status == "failed"} == {"region", "role", "bucket", "key"}
    assert "doesn't trust sagemaker" in found["role"].evidence
    assert "PendingDeletion" in found["key"].evidence


def models_of_twin() -> list[dict[str, Any]]:
    """By name here: the emulator lists all models, whatever it is asked for."""
    models = boto3.client("sagemaker", region_name=REGION).list_models(NameContains="twin-")["Models"]
    return [each for each in models if each["ModelName"].startswith("twin-")]


def test_the_command_creates_nothing_that_the_account_could_not_carry(
    spec: EndpointSpec, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    endpoint = {"name": "twin", "roleArn": spec.role_arn, "bucket": bucket, "keyArn": spec.key_arn}
    stack = handed_over(folder, {"region": REGION, "endpoint": endpoint})
    monkeypatch.chdir(folder)
    sagemaker = boto3.client("sagemaker", region_name=REGION)

    assert main(["endpoint", "preflight", "--stack", stack.name, "--output", "json"]) == 1
    checks = {each["name"]: each for each in json.loads(capfd.readouterr().out)["checks"]}
    assert {name for name, each in checks.items() if each["status"] == "failed"} == {"quota"}
    assert "request-service-quota-increase" in checks["quota"]["fix"]

    assert main(["deploy-endpoint", "--stack", stack.name, "--yes"]) == 1
    assert "quota would not hold; nothing was created" in capfd.readouterr().err
    assert not models_of_twin()

    monkeypatch.setattr(
        "opsctl.aws.account.endpoint_quota", lambda *_: Quota("L-1", 100.0)
    )  # others share this account
    (folder / "tuned").mkdir()
    (folder / "tuned" / "config.json").write_text(json.dumps(LLAMA_8B))
    model = "mlabonne/TwinLlama-3.1-8B-DPO"
    assert main(["model", "upload", "--stack", stack.name, model, "--from", "tuned"]) == 0
    capfd.readouterr()
    try:
        assert main(["deploy-endpoint", "twin", "--stack", stack.name, "--yes"]) == 0
        said = capfd.readouterr().err
        assert "1,105.95 USD a month, nothing while it sleeps" in " ".join(said.split())
        (made,) = models_of_twin()
        container = sagemaker.describe_model(ModelName=made["ModelName"])["PrimaryContainer"]
        source = container["ModelDataSource"]["S3DataSource"]["S3Uri"]
        assert source.startswith(f"s3://{bucket}/models/{model}/")
    finally:
        assert main(["endpoint", "delete", "--stack", stack.name, "--yes"]) == 0
    assert not models_of_twin()
