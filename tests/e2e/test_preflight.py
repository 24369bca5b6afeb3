"""The preflight of a stack against a cloud: what it asks is answered, and it changes nothing."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

import boto3
import httpx
import pytest

from infra import offline
from opsctl.aws import limits
from opsctl.aws.image_platforms import architectures
from opsctl.cli import main
from opsctl.errors import CloudRefused
from opsctl.preflight.check import Check, asked
from opsctl.preflight.judge import judge
from opsctl.preflight.needs import needs
from opsctl.preflight.observe import Observer
from opsctl.project import Project
from tests.infra.cloud_cases import config, second_phase

REGION = "eu-north-1"
PROJECT = Project(Path(__file__).parents[2])


def looked(image: str) -> dict[str, Check]:
    cfg = config("prod", second_phase(service={"image": image}))
    return {check.name: check for check in judge(cfg, Observer(PROJECT, cfg, os.environ).facts())}


@pytest.fixture(scope="module")
def image(cloud: None) -> str:
    """The reference of an image index for both architectures, in a registry."""
    ecr = boto3.client("ecr", region_name=REGION)
    name = f"rag-{uuid.uuid4().hex[:8]}"
    uri = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]
    kind = "application/vnd.oci.image.index.v1+json"
    platforms = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": f"sha256:{number * 64}",
            "size": 1,
            "platform": {"architecture": architecture, "os": "linux"},
        }
        for number, architecture in (("a", "amd64"), ("b", "arm64"))
    ]
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": platforms})
    put = ecr.put_image(repositoryName=name, imageManifest=manifest, imageManifestMediaType=kind, imageTag="one")
    return f"{uri}@{put['image']['imageId']['imageDigest']}"


def test_every_check_is_answered_and_nothing_is_changed(image: str) -> None:
    calls = f"{os.environ['AWS_ENDPOINT_URL']}/emulator/calls"
    httpx.delete(calls, trust_env=False)
    found = looked(image)
    assert not [call for call in httpx.get(calls, trust_env=False).json()["calls"] if call["mutating"]]
    assert (found["image"].status, found["image"].evidence) == ("ok", "there, for x86_64, arm64")
    assert (found["elastic IPs"].status, found["VPCs"].status) == ("ok", "ok")
    assert found["Fargate vCPU"].status == "failed"  # a new account may run six
    assert "--service-code fargate --quota-code L-3032A538 --desired-value 16" in str(found["Fargate vCPU"].fix)
    assert found["endpoint instances"].status == "failed"  # and no GPU
    assert "--service-code sagemaker --quota-code L-" in str(found["endpoint instances"].fix)
    assert (found["name"].status, "no public zone" in found["name"].evidence) == ("failed", True)
    assert (found["model endpoint"].status, found["policy"].status) == ("failed", "ok")
    assert "cost" in found


def test_an_image_that_was_never_pushed_has_no_architecture(image: str) -> None:
    repository = image.partition("@")[0]
    assert architectures(REGION, f"{repository}@sha256:{'f' * 64}") == ()
    assert architectures(REGION, f"{repository}-of-nobody@sha256:{'f' * 64}") == ()


def test_an_account_that_may_not_ask_is_told_and_is_no_traceback() -> None:
    fault = {"service": "service-quotas", "operation": "GetServiceQuota", "times": 1, "error": "AccessDeniedException"}
    httpx.post(f"{os.environ['AWS_ENDPOINT_URL']}/emulator/faults", json=fault, trust_env=False)
    cfg = config("prod", second_phase())
    need = needs(cfg, offline.declare(cfg))[0]
    refused = asked(lambda: limits.share(REGION, need, "prod"))
    assert isinstance(refused, CloudRefused)
    assert "AccessDenied" in refused.problem


def test_the_command_ends_with_1_and_names_what_would_not_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("preflight", "--stack", "prod", "-o", "json")) == 1
    said = capsys.readouterr()
    checks = {check["name"]: check["status"] for check in json.loads(said.out)["checks"]}
    assert checks["name"] == "failed"
    assert "would not hold; nothing was created" in said.err.splitlines()[-1]
