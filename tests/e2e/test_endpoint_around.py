"""What is done around an endpoint that is there: looked at, asked, woken, listened to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import chdir, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from opsctl.cli import main
from tests.e2e.handed_over import handed_over
from tests.e2e.stack import INTERRUPTIBLE, ROOT, Stack

REGION = "us-east-1"
Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture(scope="module")
def stack(cloud: None, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder, bucket = tmp_path_factory.mktemp("project"), f"weights-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=bucket)
    role = "arn:aws:iam::123456789012:role/execution"
    return handed_over(folder, {"region": REGION, "endpoint": {"name": "twin", "roleArn": role, "bucket": bucket}})


@pytest.fixture
def opsctl(stack: Stack, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, Any, str]:
        monkeypatch.chdir(stack.folder)
        capfd.readouterr()
        code = main([*words, "--stack", stack.name, "--output", "json"])
        said = capfd.readouterr()
        return code, json.loads(said.out) if said.out.startswith("{\n") else said.out, said.err

    return run


@pytest.fixture(scope="module")
def twin(stack: Stack) -> Iterator[str]:
    """The endpoint of the shipped stack `dev`, which sleeps when nobody asks."""
    with chdir(stack.folder):
        assert main(["deploy-endpoint", "--stack", stack.name, "--yes", "--no-preflight"]) == 0
    yield "twin"
    with chdir(stack.folder):
        assert main(["endpoint", "delete", "--stack", stack.name, "--yes"]) == 0


def sleep(endpoint: str) -> None:
    boto3.client("sagemaker", region_name=REGION).update_inference_component_runtime_config(
        InferenceComponentName=f"{endpoint}-main", DesiredRuntimeConfig={"CopyCount": 0}
    )


def test_a_sleeping_endpoint_is_healthy_says_so_when_asked_and_is_woken(twin: str, opsctl: Run) -> None:
    sleep(twin)
    code, status, _ = opsctl("endpoint", "status")
    assert (code, status["status"], status["copies"]) == (0, "InService", {"current": 0, "desired": 0})
    code, _, said = opsctl("endpoint", "test")
    assert code == 1
    assert "sleeps: no copy runs; wake it: `opsctl endpoint wake`" in said
    code, woken, _ = opsctl("endpoint", "wake")
    assert (code, woken["woken"]) == (0, True)
    assert opsctl("endpoint", "wake")[1]["woken"] is False
    assert opsctl("endpoint", "status")[1]["copies"] == {"current": 1, "desired": 1}


def test_the_status_counts_hours_and_requests_and_tells_drift(twin: str, opsctl: Run) -> None:
    cloudwatch, now = boto3.client("cloudwatch", region_name=REGION), datetime.now(UTC)
    variant = [{"Name": "EndpointName", "Value": twin}, {"Name": "VariantName", "Value": "main"}]
    for _ in range(90):  # an instance and a half for an hour
        point = {"MetricName": "CPUUtilization", "Dimensions": variant, "Value": 40.0, "Timestamp": now}
        cloudwatch.put_metric_data(Namespace="/aws/sagemaker/Endpoints", MetricData=[point])
    component = [{"Name": "InferenceComponentName", "Value": f"{twin}-main"}]
    point = {"MetricName": "Invocations", "Dimensions": component, "Value": 7.0, "Timestamp": now - timedelta(hours=2)}
    cloudwatch.put_metric_data(Namespace="AWS/SageMaker", MetricData=[point])
    code, status, _ = opsctl("endpoint", "status")
    assert code == 0
    assert status["month"] == {"instanceHours": "1.500000", "usd": "2.272500"}  # at 1.515 USD
    assert status["requestsLast24h"] == 7
    assert status["config"] == status["releasedConfig"]
    assert set(status["alarms"]) == {f"{twin}-endpoint-{each}" for each in ("5xx", "latency", "no-capacity")}

    cloudwatch.set_alarm_state(AlarmName=f"{twin}-endpoint-5xx", StateValue="ALARM", StateReason="a test")
    code, status, said = opsctl("endpoint", "status")
    assert (code, status["ok"]) == (1, False)
    assert f"alarm {twin}-endpoint-5xx rings" in status["warnings"][0]
    assert "isn't as it should be" in said
    cloudwatch.set_alarm_state(AlarmName=f"{twin}-endpoint-5xx", StateValue="OK", StateReason="a test")


def test_the_containers_lines_are_printed_as_documents(twin: str, opsctl: Run) -> None:
    code, out, said = opsctl("endpoint", "logs")
    assert (code, out) == (0, "")
    assert "a container that never started writes none" in said
    logs, group = boto3.client("logs", region_name=REGION), f"/aws/sagemaker/InferenceComponents/{twin}-main"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="main/i-1")
    now = int(time.time() * 1000)
    events = [{"timestamp": now - 7_200_000, "message": "long ago"}, {"timestamp": now, "message": "Loading weights\n"}]
    logs.put_log_events(logGroupName=group, logStreamName="main/i-1", logEvents=events)
    code, out, _ = opsctl("endpoint", "logs")
    (line,) = out.splitlines()
    assert (code, json.loads(line)["text"], json.loads(line)["stream"]) == (0, "Loading weights", "main/i-1")


def test_lines_are_followed_as_they_come_until_ctrl_c(twin: str, stack: Stack) -> None:
    logs, group = boto3.client("logs", region_name=REGION), f"/aws/sagemaker/InferenceComponents/{twin}-main"
    stream = f"main/{uuid.uuid4().hex[:8]}"
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def say(text: str) -> None:
        event = {"timestamp": int(time.time() * 1000), "message": text}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])

    words = ["endpoint", "logs", "-s", stack.name, "--follow", "--since", "5"]
    command = [*INTERRUPTIBLE, sys.executable, "-m", "opsctl.cli", *words]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=stack.folder, env=environ, stdout=subprocess.PIPE, text=True) as following:
        giving_up = threading.Timer(90, following.kill)
        giving_up.start()
        try:
            assert following.stdout is not None
            for text in ("Loading weights", "Ready"):
                say(text)
                while text not in (line := following.stdout.readline()):
                    assert line, "it ended by itself"
            following.send_signal(signal.SIGINT)
            assert following.wait() == 0
        finally:
            giving_up.cancel()


@pytest.mark.parametrize("command", ["status", "test", "wake"])
def test_what_was_never_deployed_names_the_command_that_does(stack: Stack, opsctl: Run, command: str) -> None:
    code, _, said = opsctl("endpoint", command, "other")
    assert code == 2
    assert f"'other' was never deployed; `opsctl deploy-endpoint --stack {stack.name}`" in said
