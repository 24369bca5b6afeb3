"""The commands as an operator types them, on a stack of the real engine whose outputs are those of an `up`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.endpoint.aws_proxy import AwsProxy
from tests.e2e.endpoint.lab import BUCKET, NUMBERS, REGION, WHOLE, census, clients, counts
from tests.e2e.stack import INTERRUPTIBLE, Stack

IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/vllm:1"
OPSCTL = [sys.executable, "-m", "opsctl.cli"]


class Desk:
    """A stack and an operator."""

    def __init__(self, folder: Path) -> None:
        self.endpoint = f"typed{next(NUMBERS):04d}"
        self.stack = Stack("dev", folder)
        self.stack.create("dev")
        self.stack.run("config", "set", "aws:region", REGION)
        self.stack.set("generation.endpoint", self.endpoint)
        self._hand_out(self.stack.state())

    def _hand_out(self, state: dict[str, Any]) -> None:
        """Give the stack the outputs that its first phase has."""
        outputs = {
            "topology": "ecs",
            "region": REGION,
            "endpoint": {"name": self.endpoint, "roleArn": "arn:aws:iam::123456789012:role/model", "bucket": BUCKET},
            "costTags": {"project": "rag-platform", "stack": "dev"},
        }
        kind, name = "pulumi:pulumi:Stack", "rag-platform-dev"
        urn = f"urn:pulumi:dev::rag-platform::{kind}::{name}"
        state["deployment"]["resources"] = [{"urn": urn, "custom": False, "type": kind, "outputs": outputs}]
        file = self.stack.folder / "state.json"
        file.write_text(json.dumps(state))
        self.stack.run("stack", "import", "--file", str(file))

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [*INTERRUPTIBLE, *OPSCTL, *words, "--stack", "dev"]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.stack.folder, text=True, env=dict(os.environ), **streams)

    def types(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=180)
        return process.returncode, out, err

    def deploys(self, *words: str) -> tuple[int, str, str]:
        return self.types("deploy-endpoint", "--image-uri", IMAGE, "--no-preflight", *words)


@pytest.fixture
def desk(tmp_path: Path, proxy: AwsProxy) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.stack.run("stack", "rm", "--yes", "--force", check=False)


def test_an_endpoint_is_deployed_left_alone_updated_rolled_back_and_deleted(desk: Desk, proxy: AwsProxy) -> None:
    code, out, err = desk.deploys(desk.endpoint, "--yes", "--output", "json")
    assert code == 0, err
    said = json.loads(out)
    assert (said["version"], said["ok"], said["changed"]) == (1, True, True)
    assert counts(desk.endpoint) == WHOLE["scale-to-zero"]
    assert f"create endpoint {desk.endpoint}" in err
    tags = clients().sagemaker.list_tags(
        ResourceArn=clients().sagemaker.describe_endpoint(EndpointName=desk.endpoint)["EndpointArn"]
    )
    assert {"Key": "rag-platform:stack", "Value": "dev"} in tags["Tags"]
    assert {"Key": "project", "Value": "rag-platform"} in tags["Tags"]

    proxy.forget()
    code, out, err = desk.deploys()
    assert (code, proxy.mutating) == (0, []), err
    assert "nothing to do" in out

    desk.stack.set("generation.contextTokens", 8192)
    code, out, err = desk.deploys()
    assert code == 2
    assert "no terminal to ask for consent on" in err
    code, out, err = desk.deploys("--dry-run")
    assert (code, f"change component {desk.endpoint}-main" in out) == (0, True), err
    assert f"Specification.ModelName {desk.endpoint}-" in out
    code, out, err = desk.deploys("--yes")
    assert code == 0, err

    code, out, err = desk.types("endpoint", "rollback", "--yes")
    assert (code, f"change component {desk.endpoint}-main" in out) == (0, True), err
    code, out, err = desk.types("endpoint", "delete", desk.endpoint, "--yes", "--output", "json")
    assert (code, json.loads(out)["outcome"]) == (0, "done"), err
    assert census(desk.endpoint) == {}


def test_a_silent_rollback_is_exit_code_5_and_one_line(desk: Desk) -> None:
    assert desk.deploys("--yes")[0] == 0
    code, _, err = desk.types("deploy-endpoint", "--image-uri", f"{IMAGE}-fail-health", "--no-preflight", "--yes")
    assert code == 5
    assert err.splitlines()[-1].startswith("opsctl: SageMaker went back")
    assert "did not pass the ping health check" in err.splitlines()[-1]
    assert counts(desk.endpoint) == WHOLE["scale-to-zero"]


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(desk: Desk, proxy: AwsProxy) -> None:
    proxy.held = {"DescribeInferenceComponent": "Creating"}
    words = ("deploy-endpoint", "--image-uri", IMAGE, "--no-preflight", "--yes")
    process = desk.start(*words)
    proxy.wait_for("CreateInferenceComponent")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "to go on, run the same command" in err
    assert "opsctl endpoint delete" in err
    proxy.held = {}
    assert desk.types(*words)[0] == 0
    assert proxy.calls.count("CreateInferenceComponent") == 1
    assert counts(desk.endpoint) == WHOLE["scale-to-zero"]


def test_another_name_than_the_configs_is_refused(desk: Desk) -> None:
    code, _, err = desk.deploys("other", "--yes")
    assert code == 2
    assert "pulumi config set --path generation.endpoint other" in err
