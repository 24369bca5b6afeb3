"""Eight secrets are planted where an operator has them; every command is run, and none shows up where others can look.

That is: in what a command prints, with a traceback or without, in a file that it writes or leaves, in the engine's
state, and on the command line of any process that it starts.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml

from opsctl.project import Project, engine_environment, find_pulumi
from tests.infra.cloud_cases import DIGEST, ROOT
from tests.unit.opsctl.conftest import PlayedService, Reply
from tests.unit.opsctl.played_aws import PlayedAws
from tests.unit.opsctl.test_consent import TREE
from tests.unit.opsctl.world import World

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Run

pytestmark = pytest.mark.pulumi

ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret-key",
    "AWS_SESSION_TOKEN": "planted-aws-session-token",
    "DATABASE_HOST": "mongodb://rag:planted-mongo-password@127.0.0.1:9/",
    "HF_TOKEN": "planted-hub-token",
    "PULUMI_CONFIG_PASSPHRASE": "planted-passphrase",
    "QDRANT_APIKEY": "planted-qdrant-key",
    "RAG_API_KEY": "planted-service-key",
}
OPENAI = "planted-openai-key"  # typed into `secrets set`
PLANTED = {
    OPENAI,
    *(re.search(r"planted-[a-z-]+", value)[0] for value in ENVIRONMENT.values()),  # type: ignore[index]
}
KEPT = "planted-kept-in-the-vault"  # what the stack's own vault answers with: shown by `api-keys show` alone

REVISION = "arn:aws:ecs:::task-definition/rag:1"
PROGRAM = """
import pulumi

service = pulumi.Config("rag-platform").get_object("service") or {{}}
secrets = pulumi.Config("rag-platform").get_secret_object("secrets")
image = service.get("image")
pulumi.ComponentResource("rag-platform:topology:Ecs", "rag", {{"told": secrets}})
pulumi.export("topology", "ecs")
pulumi.export("region", "eu-north-1")
pulumi.export("url", "{url}")
pulumi.export("healthUrl", "{url}/health")
pulumi.export("dashboardUrl", "{url}/dashboard")
pulumi.export("registry", "127.0.0.1:9/rag")
pulumi.export("release", {{"image": image, "revision": image and "{revision}"}})
pulumi.export("cluster", {{"name": "k", "service": "rag"}} if image else None)
pulumi.export("logs", {{"kind": "cloudwatch", "group": "/rag"}})
pulumi.export("secrets", {{name: "arn:aws:secretsmanager:eu-north-1:1:secret:" + name
    for name in ("openaiApiKey", "qdrantApiKey", "mongoUrl", "apiKey-default", "apiKey-batch")}})
pulumi.export("topics", {{"critical": "arn:aws:sns:eu-north-1:1:pager", "warning": "arn:aws:sns:eu-north-1:1:notices"}})
pulumi.export("endpoint", {{"name": "twin", "bucket": "b", "roleArn": "arn:aws:iam::1:role/r"}})
pulumi.export("jobs", {{"kind": "ecs-task", "cluster": "k", "taskDefinition": "t", "container": "service",
    "subnets": ["subnet-1"], "securityGroup": "sg-1", "command": ["python", "-m", "service.jobs.{{job}}"],
    "backups": {{"stores": ["mongo"], "place": "s3://b/dev", "role": "arn:r"}}}})
"""
S = ("--stack", "dev")
ASK = ("--golden", "golden.yaml", "--timeout", "5")
# path -> how it is typed: what works here, and what the cloud refuses
CALLS: dict[str, list[tuple[str, ...]]] = {
    "alerts test": [S],
    "api-keys create": [("batch", *S)],
    "api-keys list": [S],
    "api-keys revoke": [("batch", *S, "--yes")],
    "api-keys rotate": [("batch", *S)],
    "api-keys show": [("default", *S)],
    "backup": [S, (*S, "--list")],
    "completion": [("bash",)],
    "cost-report": [S],
    "dashboard": [S],
    "deploy": [(*S, "--yes", "--no-preflight", *ASK), (*S, "--yes")],
    "deploy-endpoint": [(*S, "--yes")],
    "destroy": [(*S, "--yes")],
    "doctor": [()],
    "edge rollback": [S],
    "edge status": [S],
    "edge update": [S],
    "endpoint delete": [(*S, "--yes")],
    "endpoint logs": [S],
    "endpoint preflight": [S],
    "endpoint rollback": [(*S, "--yes")],
    "endpoint status": [S],
    "endpoint test": [S],
    "endpoint wake": [S],
    "exec": [(*S, "true")],
    "export-index": [S],
    "image build": [("--no-sbom",)],
    "image push": [S],
    "ingest": [S],
    "init": [(*S, "--yes", "--no-preflight", *ASK)],
    "load-test": [(*S, "--queries", "queries.txt", "--rate", "5", "--seconds", "1")],
    "logs": [S],
    "model upload": [("acme/model", *S), ("acme/model", *S, "--from", ".")],
    "pause": [(*S, "--yes", "--no-endpoint"), (*S, "--yes")],
    "preflight": [S],
    "prices refresh": [("--region", "eu-north-1")],
    "releases": [S],
    "restore": [("mongo", *S, "--yes")],
    "resume": [(*S, "--yes", "--no-endpoint"), (*S, "--yes")],
    "rollback": [(*S, "--yes", "--to", DIGEST, *ASK)],
    "secrets list": [S],
    "secrets rotate": [("apiKey-batch", *S), ("openaiApiKey", *S)],
    "secrets set": [("openaiApiKey", *S)],
    "smoke-test": [(*S, *ASK), (*S, *ASK, "--suite", "full")],
    "status": [S],
    "watch": [("--times", "1")],
}
FIRST = ("secrets set", "api-keys create", "deploy")  # so that the others have something to look at
LAST = ("api-keys revoke", "destroy")
SUCCEED = {  # as they are typed first: what they print when all is well is searched too
    *("api-keys create", "api-keys list", "api-keys revoke", "api-keys rotate", "api-keys show", "completion"),
    *("cost-report", "dashboard", "deploy", "endpoint logs", "load-test", "logs", "releases", "rollback"),
    *("secrets list", "secrets rotate", "secrets set", "smoke-test", "status"),
}
DONE = ("RegisterScalableTarget", "UpdateService")
SCALING = {"ServiceNamespace": "ecs", "ResourceId": "service/k/rag", "MinCapacity": 1, "MaxCapacity": 2}


class Refused(dict[str, Any]):
    """Of a cloud that knows who asks and allows nothing."""

    def __missing__(self, _: str) -> Any:
        return lambda __: Reply(403, {"__type": "AccessDeniedException", "message": "not allowed"})


class Watcher:
    """Reads the command lines of this process's children while a block runs."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._over = threading.Event()

    def _look(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.005):
            for child in me.children(recursive=True):
                try:
                    self.seen.add("\0".join(child.cmdline()))
                except psutil.Error:
                    continue

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        yield
        self._over.set()
        thread.join()


def found_in(text: str, secrets: set[str]) -> set[str]:
    return {secret for secret in secrets if secret in text}


def leaked_files(root: Path, secrets: set[str]) -> dict[str, set[str]]:
    """Relative path -> what of the secrets is readable in it."""
    read = {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    named = ((name, {each for each in secrets if each.encode() in content}) for name, content in read.items())
    return {name: leaked for name, leaked in named if leaked}


@pytest.fixture
def planted(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """The project, a real engine, an AWS that refuses all but a secret's value, and a service that answers."""
    played: PlayedService = world.service
    played.answers = Refused(played.answers)
    played.says("/health", Reply(body={"dependencies": {"vectorStore": "up"}, "release": DIGEST}))
    played.says("/readyz", Reply(body={"status": "ready", "release": DIGEST}))
    primary = {"status": "PRIMARY", "taskDefinition": REVISION, "desiredCount": 1, "runningCount": 1}
    current = {"VersionIdsToStages": {"v": ["AWSCURRENT"]}, "LastChangedDate": 0, "CreatedDate": 0}
    PlayedAws(
        played,
        {
            "DescribeAlarms": {},
            "DescribeScalableTargets": {"ScalableTargets": [SCALING]},
            "DescribeSecret": {"ARN": "arn:aws:secretsmanager:eu-north-1:1:secret:s", "Name": "s", **current},
            "FilterLogEvents": {"events": [{"eventId": "1", "timestamp": 0, "logStreamName": "s", "message": "{}"}]},
            "GetSecretValue": {"SecretString": KEPT},
            **{each: {} for each in DONE},
            "DescribeServices": {"services": [{"status": "ACTIVE", "desiredCount": 1, "deployments": [primary]}]},
            "DescribeTaskDefinition": {"taskDefinition": {"containerDefinitions": [{"image": DIGEST}]}},
            "ListServiceDeployments": {"serviceDeployments": []},
        },
    )
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    tools = {Path(str(shutil.which(name))).parent for name in ("pulumi", "git", "sh")}
    python = Path(os.sys.executable).parent  # type: ignore[attr-defined]
    monkeypatch.setenv("PATH", ":".join(map(str, (python, *tools))))
    monkeypatch.setattr("opsctl.deploy.run.FIRST_ANSWER_S", 0.1)
    monkeypatch.setattr("opsctl.deploy.run.SETTLING_S", 0.1)
    document = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())
    told = document["config"]
    told["rag-platform:service"] = {**told.get("rag-platform:service", {}), "image": DIGEST}
    told["rag-platform:retrieval"] = {"url": "http://127.0.0.1:9"}
    (world.root / "Pulumi.dev.yaml").write_text(yaml.safe_dump(document))
    (world.root / "__main__.py").write_text(PROGRAM.format(url=played.url, revision=REVISION))
    (world.root / "queries.txt").write_text("What is FastAPI?\n")
    environ = engine_environment(Project(world.root), "dev", os.environ)
    engine = find_pulumi(Project(world.root), os.environ)
    subprocess.run([engine, "stack", "rm", "dev", "--yes", "--preserve-config"], env=environ, check=True)
    subprocess.run([engine, "stack", "init", "dev"], env=environ, check=True, capture_output=True)
    for name in ("qdrantApiKey", "mongoUrl"):
        path = f"rag-platform:secrets.{name}"
        words = ["config", "set", "--secret", "--path", path, f"planted-given-{name}", "--stack", "dev"]
        subprocess.run([engine, *words], env=environ, check=True, capture_output=True)
    return world


def test_the_search_finds_what_is_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "left").write_text(f"log: {OPENAI}")
    assert leaked_files(tmp_path, PLANTED) == {"left": {OPENAI}}
    watcher = Watcher()
    with watcher.watching():
        subprocess.run(["/bin/sh", "-c", f"sleep 0.3 # {OPENAI}"], check=True)
    assert found_in("".join(watcher.seen), PLANTED) == {OPENAI}
    assert len(PLANTED) == 8


def test_no_command_shows_a_secret(opsctl: Run, planted: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CALLS.keys() == TREE.keys(), "every command is here"
    order = [*FIRST, *(path for path in CALLS if path not in {*FIRST, *LAST}), *LAST]
    codes: dict[str, list[int]] = {}
    leaks: dict[str, set[str]] = {}
    watcher = Watcher()
    with watcher.watching():
        for path in order:
            for words in CALLS[path]:
                for flags in ((), ("--debug",)):
                    monkeypatch.setattr("sys.stdin", io.StringIO(OPENAI))
                    done = opsctl(*flags, *path.split(), *words)
                    codes.setdefault(path, []).append(done.code)
                    secrets = PLANTED if path == "api-keys show" else PLANTED | {KEPT}
                    if leaked := found_in(done.out + done.err, secrets):
                        leaks[" ".join((*flags, path, *words))] = leaked
    assert leaks == {}
    assert found_in("\n".join(watcher.seen), PLANTED | {KEPT}) == set()
    assert leaked_files(planted.root, PLANTED | {KEPT}) == {}
    assert any("pulumi" in line for line in watcher.seen), "the engine was seen at work"
    assert {path for path, each in codes.items() if each[0] == 0} == SUCCEED, codes
    assert {code for each in codes.values() for code in each} <= {0, 1, 2, 3, 4, 5}, codes
