"""The stack file `dev` as a hybrid: edge here, cloud half on the real AWS provider; one stack, tests in their order.

The edge reaches its cloud through a line that the tests cut: it comes up, answers and keeps answering without it.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import psutil
import pytest

from tests.e2e.census import census
from tests.e2e.stack import ROOT, Stack, interrupt_politely
from tests.fault_proxy import Down, FaultProxy
from tests.local_engine import free_ports

REGION = "eu-north-1"
NAME = f"dev-hybrid-{os.getpid()}"
EDGE = ROOT / ".edge" / NAME
TEXT = "# {title}\n{title} keeps a number of processes running on UNIX hosts, says edition {edition}.\n"
WITHIN_S = 180.0


@dataclass
class Line:
    """The edge's way to the cloud."""

    proxy: FaultProxy
    _fault: ExitStack = field(default_factory=ExitStack)

    def cut(self) -> None:
        self._fault.enter_context(self.proxy.suffering(Down()))

    def mend(self) -> None:
        self._fault.close()


@dataclass
class Hybrid:
    stack: Stack
    line: Line
    documents: Path
    before: set[tuple[str, str]]

    @property
    def url(self) -> str:
        return str(self.stack.outputs()["url"])

    def opsctl(self, *words: str, code: int = 0) -> Any:
        command = [sys.executable, "-m", "opsctl.cli", *words, "--stack", NAME, "--output", "json"]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=self.stack.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def status(self) -> dict[str, Any]:
        (edge,) = self.opsctl("edge", "status")["edges"]
        return dict(edge)

    def ask(self) -> dict[str, Any]:
        question = {"query": "What keeps processes running on UNIX hosts?"}
        answer = httpx.post(f"{self.url}/rag", json=question, timeout=WITHIN_S, trust_env=False)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def write(documents: Path, edition: int) -> None:
    documents.mkdir(exist_ok=True)
    for title in ("Supervisor", "Runit"):
        (documents / f"{title}.md").write_text(TEXT.format(title=title, edition=edition))


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hybrid]:
    """The stack file `dev` with its topology changed; besides, ports that are free here and few words to decode."""
    home = tmp_path_factory.mktemp("home")
    documents = home / "documents"
    write(documents, 1)
    before = census(REGION)
    port = urlsplit(os.environ["AWS_ENDPOINT_URL"]).port
    assert port is not None
    with FaultProxy(port).running() as proxy, pytest.MonkeyPatch.context() as patch:
        line = Line(proxy)
        line.cut()
        (home / ".aws").mkdir(mode=0o700)
        (home / ".aws" / "credentials").write_text(  # the host's own identity, as SSM's agent writes it
            "[default]\naws_access_key_id = testing\naws_secret_access_key = testing\n"
            f"[rag-edge]\nendpoint_url = http://127.0.0.1:{proxy.port}\n"
        )
        patch.setenv("PULUMI_HOME", os.environ.get("PULUMI_HOME", str(Path.home() / ".pulumi")))
        patch.setenv("HOME", str(home))
        made = Stack(NAME, tmp_path_factory.mktemp("hybrid"))
        made.create("dev")
        made.set("topology", "hybrid")
        for key, value in zip(("port", "llmPort", "metricsPort"), free_ports(), strict=True):
            made.set(f"hybrid.edge.{key}", value)
        made.set("hybrid.edge.source", str(documents))
        made.set("generation.maxOutputTokens", 16)
        yield Hybrid(made, line, documents, before)
        line.mend()
        if made.resources():  # a test failed on the way
            made.run("destroy", "--yes", "--skip-preview", check=False)


def test_an_up_that_is_interrupted_is_finished_by_the_next(hybrid: Hybrid) -> None:
    assert hybrid.stack.interrupt("created", 8, interrupt_politely) != 0
    hybrid.stack.run("cancel", "--yes", check=False)
    hybrid.stack.up()
    assert hybrid.stack.outputs()["topology"] == "hybrid"


def test_the_second_preview_is_empty(hybrid: Hybrid) -> None:
    assert hybrid.stack.unchanged(), hybrid.stack.log[-1]


def test_it_answers_while_its_cloud_is_out_of_reach(hybrid: Hybrid) -> None:
    answer = hybrid.ask()
    assert answer["servedBy"] == "edge"
    assert answer["sources"]
    found = hybrid.status()
    assert (found["ok"], found["online"], found["countsArrived"]) == (True, False, None)
    assert "no answer" in found["sync"]["said"]


def test_the_role_is_the_hosts_and_no_key_is_anywhere(hybrid: Hybrid) -> None:
    (config,) = (EDGE / "files").iterdir()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert "role_arn = arn:aws:iam::" in config.read_text()
    for text in (config.read_text(), (EDGE / "run" / "supervisord.conf").read_text(), *hybrid.stack.log):
        assert "aws_secret_access_key" not in text
    role = next(each for each in client("iam").list_roles()["Roles"] if f"{NAME}-edge" in each["RoleName"])
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"]["AWS"].endswith(":root")
    (policy,) = client("iam").list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    allowed = client("iam").get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"]
    actions = {action for each in allowed["Statement"] for action in each["Action"]}
    assert actions == {
        "s3:GetObject",
        "s3:ListBucket",
        "kms:Decrypt",
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointWithResponseStream",
        "cloudwatch:PutMetricData",
    }


def test_destroy_leaves_nothing_here_or_there(hybrid: Hybrid) -> None:
    hybrid.stack.run("destroy", "--yes", "--skip-preview")
    assert hybrid.stack.resources() == []
    assert census(REGION) - hybrid.before == set()
    assert not EDGE.exists()
    left = [each for each in psutil.process_iter() if NAME in " ".join(_command(each))]
    assert left == []


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
