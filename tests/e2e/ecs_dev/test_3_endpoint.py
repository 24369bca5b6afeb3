"""The model endpoint of the stack `dev`, from what its `up` hands out: role, bucket, key, subnets, security group."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.e2e.census import census
from tests.e2e.ecs_dev.cases import REGION
from tests.e2e.stack import Stack

IMAGE = ("--image-uri", f"123456789012.dkr.ecr.{REGION}.amazonaws.com/vllm:1", "--no-preflight")


def typed(stack: Stack, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "opsctl.cli", *words, "--stack", stack.name, "--yes", "--output", "json"]
    done = subprocess.run(command, cwd=stack.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture
def bucket_without_tls(stack: Stack) -> Iterator[None]:
    """The stack's bucket refuses requests without TLS, which a cloud on loopback has none of."""
    s3, bucket = boto3.client("s3", region_name=REGION), stack.outputs()["endpoint"]["bucket"]
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert "aws:SecureTransport" in policy
    s3.delete_bucket_policy(Bucket=bucket)
    yield
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)


@pytest.mark.usefixtures("bucket_without_tls")
def test_the_endpoint_of_a_real_stack_is_made_updated_gone_back_from_and_deleted(stack: Stack) -> None:
    before, handed = census(REGION), stack.outputs()["endpoint"]
    assert typed(stack, "deploy-endpoint", "twin", *IMAGE)["outcome"] == "done"

    sagemaker = boto3.client("sagemaker", region_name=REGION)
    name = sagemaker.describe_endpoint(EndpointName="twin")["EndpointConfigName"]
    config = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert config["ExecutionRoleArn"] == handed["roleArn"]
    assert config["VpcConfig"]["Subnets"] == handed["subnets"]
    assert config["VpcConfig"]["SecurityGroupIds"] == [handed["securityGroup"]]

    assert typed(stack, "deploy-endpoint", "twin", *IMAGE)["outcome"] == "nothing to do"
    stack.set("generation.contextTokens", 8192)
    assert typed(stack, "deploy-endpoint", "twin", *IMAGE)["outcome"] == "done"
    stack.run("config", "rm", "--path", "rag-platform:generation.contextTokens")
    assert typed(stack, "endpoint", "rollback")["outcome"] == "done"
    assert typed(stack, "deploy-endpoint", "twin", *IMAGE)["outcome"] == "nothing to do"
    assert typed(stack, "endpoint", "delete")["outcome"] == "done"
    assert census(REGION) == before
