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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import psutil
import pytest

from service.jobs import ingest
from tests.e2e import outcomes, scan
from tests.e2e.census import census
from tests.e2e.stack import ROOT, Stack
from tests.e2e.topologies.conftest import EXCLUDED, QUIET_EDITS, REGION, Files, fresh
from tests.e2e.typed import typed
from tests.fault_proxy import Down, FaultProxy
from tests.real_processes import wait_until

TOPOLOGY = "hybrid"
WAIVERS = Path(__file__).with_name("hybrid_waivers.yaml")
NAME = f"dev-hybrid-{os.getpid()}"
EDGE = ROOT / ".edge" / NAME
TEXT = "# {title}\n{title} keeps a number of processes running on UNIX hosts, says edition {edition}.\n"
WITHIN_S = 180.0
LEAST_PASSED = 30  # checks: there is no network and no workload


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
def hybrid(
    tmp_path_factory: pytest.TempPathFactory,
    documents: Path,
    same: dict[str, Any],
    files: Files,
    before: set[tuple[str, str]],
) -> Iterator[Hybrid]:
    """A fresh stack whose host has an identity of its own, and a line to the cloud that is cut at first."""
    home = tmp_path_factory.mktemp("home")
    write(documents, 1)
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
        made = Stack(NAME, tmp_path_factory.mktemp(TOPOLOGY), excluded=EXCLUDED)
        yield Hybrid(fresh(made, TOPOLOGY, same, files), line, before)
        line.mend()
        if made.resources():  # a test failed on the way
            made.run("destroy", "--yes", "--skip-preview", check=False)


def test_a_deployment_that_is_broken_off_is_finished_by_the_next_one(hybrid: Hybrid) -> None:
    hybrid.stack.up()
    outcomes.is_broken_off_and_finished_by_the_same_command(hybrid.stack, QUIET_EDITS)
    assert hybrid.stack.outputs()["topology"] == "hybrid"


def release(hybrid: Hybrid) -> str:
    return str(httpx.get(f"{hybrid.url}/readyz", trust_env=False).json()["release"])


def test_a_wrong_config_is_refused(hybrid: Hybrid) -> None:
    outcomes.is_refused_for_a_wrong_config(hybrid.stack, lambda: release(hybrid))


def test_a_throttled_account(hybrid: Hybrid) -> None:
    """The verdict is the edge's own; AWS is asked by the engine alone."""
    outcomes.is_throttled_in_its_update(hybrid.stack, lambda: release(hybrid))


def test_a_deployment_is_judged_by_the_edges_own_answers(hybrid: Hybrid, tmp_path: Path) -> None:
    """An edge has no image to go back to: a smoke test that fails is 1, and the edge answers as before."""
    golden = tmp_path / "golden.yaml"
    golden.write_text("questions: [{question: What does Supervisor keep running?, title: Supervisor}]")
    good = typed(hybrid.stack, "deploy", "--yes", "--no-preflight", "--golden", str(golden))
    assert (good.code, good.document["smokeTest"]["ok"]) == (0, True), good.err
    golden.write_text("questions: [{question: What does Supervisor keep running?, title: Nobody}]")
    wrong = typed(hybrid.stack, "deploy", "--yes", "--no-preflight", "--golden", str(golden))
    assert (wrong.code, wrong.document["verdict"]["status"]) == (1, "running"), wrong.err
    assert "no earlier image to go back to" in wrong.err.splitlines()[-1]
    assert hybrid.ask()["servedBy"] == "edge"


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


def test_back_online_it_takes_an_exported_bundle_and_can_go_back(hybrid: Hybrid, tmp_path: Path) -> None:
    hybrid.line.mend()
    write(tmp_path / "newer", 2)
    ingest.ingest(tmp_path / "newer", tmp_path / "made", "flat", min_recall=0.9, threads=1)
    bucket = hybrid.stack.outputs()["bundle"]["bucket"]
    with without_tls(bucket):
        take_and_go_back(hybrid, bucket, tmp_path / "made")


@contextmanager
def without_tls(bucket: str) -> Iterator[None]:
    """The bucket refuses requests without TLS, which a cloud on loopback has none of."""
    s3 = client("s3")
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert "aws:SecureTransport" in policy
    s3.delete_bucket_policy(Bucket=bucket)
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)


def take_and_go_back(hybrid: Hybrid, bucket: str, made: Path) -> None:
    exported = hybrid.opsctl("export-index", "--bundle", str(made))
    assert exported["uri"].startswith(f"s3://{bucket}/bundles/")
    first = hybrid.status()["serving"]
    (edge,) = hybrid.opsctl("edge", "update")["edges"]
    assert (edge["serving"]["index"], first["index"]) == ("flat", "sq8")
    assert (edge["ok"], edge["online"], edge["sync"]["state"]) == (True, True, "switched")
    (edge,) = hybrid.opsctl("edge", "rollback")["edges"]
    assert edge["serving"]["id"] == first["id"]
    (edge,) = hybrid.opsctl("edge", "update")["edges"]
    assert edge["serving"]["index"] == "flat"


def test_the_next_preview_leaves_the_newer_bundle_alone(hybrid: Hybrid) -> None:
    assert hybrid.stack.unchanged(), hybrid.stack.log[-1]


def test_edits_change_what_they_are_about(hybrid: Hybrid) -> None:
    steps = hybrid.stack.what_if(
        {
            "hybrid.alarms.fallbackPercent": 20,
            "hybrid.alarms.silentMinutes": 60,
            "hybrid.bundle.keepDays": 7,
            "hybrid.fallback.kind": "none",
        }
    ).steps
    assert {(op, kind) for op, kind, _ in steps if op != "delete"} == {
        ("update", "aws:cloudwatch/dashboard:Dashboard"),
        ("update", "aws:cloudwatch/metricAlarm:MetricAlarm"),
        ("update", "aws:lambda/function:Function"),  # the price of the hour: no endpoint any more
        ("update", "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"),
        ("update", "aws:iam/rolePolicy:RolePolicy"),
        ("update", "pulumi-python:dynamic/edge:EdgeService"),
    }
    gone = {name.removeprefix(f"rag-platform-{NAME}-") for op, kind, name in steps if op == "delete" and "aws:" in kind}
    assert {name for name in gone if not name.startswith(("weights", "redeploy"))} == {
        "endpoint-down",
        "endpoint-failing",
        "execution",
        "execution-policy",
    }


def test_signs_of_life_arrive_in_the_stacks_namespace(hybrid: Hybrid) -> None:
    def arrived() -> set[str]:
        found = client("cloudwatch").list_metrics(Namespace=f"rag-platform/{NAME}")["Metrics"]
        return {each["MetricName"] for each in found}

    wait_until(lambda: {"heartbeat", "answers"} <= arrived(), within_s=WITHIN_S, what="the counts of an offline time")
    assert hybrid.status()["countsArrived"]


def test_what_somebody_took_away_comes_back(hybrid: Hybrid) -> None:
    ours = alarms()
    assert len(ours) > 10
    client("cloudwatch").delete_alarms(AlarmNames=[f"rag-platform-{NAME}-fallback"])
    (config,) = (EDGE / "files").iterdir()
    config.chmod(0o644)
    psutil.Process(int((EDGE / "run" / "supervisord.pid").read_text())).kill()
    hybrid.stack.run("up", "--yes", "--skip-preview", "--refresh")
    assert alarms().keys() == ours.keys()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    found = hybrid.status()
    assert (found["ok"], found["serving"]["index"]) == (True, "flat")
    assert hybrid.ask()["servedBy"] == "edge"


def test_the_scan_finds_nothing_that_is_not_waived(hybrid: Hybrid, tmp_path: Path) -> None:
    found, accepted = scan.findings(hybrid.stack.exported(tmp_path), least=LEAST_PASSED), scan.waivers(WAIVERS)
    assert scan.unwaived(found, accepted) == []
    assert scan.unused(found, accepted) == []


def test_destroy_leaves_nothing_here_or_there(hybrid: Hybrid) -> None:
    hybrid.stack.run("destroy", "--yes", "--skip-preview")
    assert hybrid.stack.resources() == []
    assert census(REGION) - hybrid.before == set()
    assert not EDGE.exists()
    left = [each for each in psutil.process_iter() if NAME in " ".join(_command(each))]
    assert left == []


def alarms() -> dict[str, str]:
    """What each alarm of the stack says -> its name."""
    found = client("cloudwatch").describe_alarms()["MetricAlarms"]
    return {each["AlarmDescription"]: each["AlarmName"] for each in found if NAME in each["AlarmName"]}


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
