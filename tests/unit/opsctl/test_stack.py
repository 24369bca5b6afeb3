from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic.alias_generators import to_camel

from opsctl import stack
from opsctl.errors import CloudRefused, NotDeployed, NotUsable, StackNotFound, TimedOut, ToolMissing
from opsctl.project import Project, engine_environment, find_project, find_pulumi, forget_salt
from opsctl.smoke.golden import load_golden
from opsctl.stack import Delivery, read_delivery
from tests.unit.opsctl.conftest import Reply, rag_answer, source

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import PlayedService, Run

OUTPUTS: dict[str, Any] = {
    "url": "http://127.0.0.1:8080",
    "healthUrl": "http://127.0.0.1:8080/health",
    "topology": "hybrid",
    "region": None,
    "release": {"image": None, "revision": "3"},
    "logs": {"kind": "file", "selector": ".edge/logs/*.log"},
    "secrets": {"openai": "arn:aws:secretsmanager:eu-north-1:123456789012:secret:x"},
    "cluster": None,
    "endpoint": {"name": None, "roleArn": "arn:aws:iam::1:role/x", "bucket": "b", "subnets": ["subnet-1"]},
    "bundle": {"bucket": "b", "prefix": "bundles/"},
    "costTags": {"stack": "local"},
    "somethingNewer": {"a": 1},
}


@dataclass(frozen=True)
class FakePulumi:
    """A program called pulumi that records how it was called and says what a test wants."""

    project: Project

    def says(self, outputs: object = None, *, stderr: str = "", code: int = 0, sleep_s: float = 0) -> None:
        folder = self.project.tools
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "outputs.json").write_text(json.dumps(outputs))
        program = folder / "pulumi"
        program.write_text(
            f'#!/bin/sh\necho "$@" > {folder}/argv\nenv > {folder}/env\nsleep {sleep_s}\n'
            f"cat {folder}/outputs.json\necho '{stderr}' >&2\nexit {code}\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    @property
    def argv(self) -> list[str]:
        return (self.project.tools / "argv").read_text().split()

    @property
    def environ(self) -> dict[str, str]:
        lines = (self.project.tools / "env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "Pulumi.yaml").write_text("name: rag-platform\n")
    return Project(tmp_path)


@pytest.fixture
def pulumi(project: Project) -> FakePulumi:
    fake = FakePulumi(project)
    fake.says(OUTPUTS)
    return fake


PLAIN = {"PATH": "/usr/bin:/bin"}


def test_delivery_has_the_outputs_under_their_contract_names(pulumi: FakePulumi) -> None:
    delivery = read_delivery(pulumi.project, "local", PLAIN)
    assert (delivery.url, delivery.topology, delivery.region) == ("http://127.0.0.1:8080", "hybrid", None)
    assert delivery.release is not None
    assert delivery.release.revision == "3"
    assert delivery.endpoint is not None
    assert (delivery.endpoint.role_arn, delivery.endpoint.subnets) == ("arn:aws:iam::1:role/x", ("subnet-1",))
    assert pulumi.argv == ["stack", "output", "--json", "--stack", "local", "--non-interactive"]


@pytest.mark.parametrize("part", ["Delivery", "Release", "Logs", "Cluster", "Endpoint", "Bundle"])
def test_every_part_that_the_program_hands_out_is_read_under_its_name(part: str) -> None:
    from infra import delivery

    handed_out = {to_camel(field.name) for field in fields(getattr(delivery, part))}
    assert {field.alias for field in getattr(stack, part).model_fields.values()} == handed_out


def test_every_contract_name_is_read() -> None:
    names = {field.alias for field in Delivery.model_fields.values()}
    assert names == {
        *("url", "healthUrl", "topology", "region", "release", "logs", "dashboardUrl", "registry", "secrets"),
        *("topics", "jobs", "cluster", "rollout", "endpoint", "bundle", "costTags", "promises"),
    }


def test_a_missing_stack_names_the_command_that_creates_it(pulumi: FakePulumi) -> None:
    pulumi.says(stderr="error: no stack named 'dev' found", code=255)
    with pytest.raises(StackNotFound, match=r"no stack 'dev'.*`pulumi up --stack dev`"):
        read_delivery(pulumi.project, "dev", PLAIN)


def test_a_stack_that_was_never_up_is_told_apart(pulumi: FakePulumi) -> None:
    pulumi.says({})
    with pytest.raises(NotDeployed, match="'local' has no outputs; deploy it: `make up`"):
        read_delivery(pulumi.project, "local", PLAIN)


def test_outputs_of_another_program_are_refused_by_key(pulumi: FakePulumi) -> None:
    pulumi.says({"bucketName": "x", "url": 7})
    with pytest.raises(NotDeployed, match="topology: Field required; url: Input should be a valid string"):
        read_delivery(pulumi.project, "dev", PLAIN)


def test_a_refusal_of_the_engine_carries_its_reason(pulumi: FakePulumi) -> None:
    pulumi.says(stderr="error: passphrase must be set", code=255)
    with pytest.raises(CloudRefused, match="`pulumi stack output` on stack 'dev' failed: passphrase must be set"):
        read_delivery(pulumi.project, "dev", PLAIN)


def test_an_engine_that_hangs_is_a_timeout(pulumi: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsctl.pulumi_cli.LIMIT_S", 0.2)
    pulumi.says(OUTPUTS, sleep_s=5)
    with pytest.raises(TimedOut, match=r"within 0.2 s"):
        read_delivery(pulumi.project, "local", PLAIN)


def test_no_pulumi_anywhere_says_make_tools(project: Project) -> None:
    with pytest.raises(ToolMissing, match="make tools"):
        find_pulumi(project, {"PATH": "/nowhere"})


def test_the_projects_own_pulumi_wins_over_the_one_on_path(pulumi: FakePulumi, tmp_path: Path) -> None:
    theirs = tmp_path / "bin" / "pulumi"
    theirs.parent.mkdir()
    theirs.write_text("#!/bin/sh\n")
    theirs.chmod(0o755)
    assert find_pulumi(pulumi.project, {"PATH": str(theirs.parent)}) == pulumi.project.tools / "pulumi"
    (pulumi.project.tools / "pulumi").unlink()
    assert find_pulumi(pulumi.project, {"PATH": str(theirs.parent)}) == theirs


def test_the_local_backend_is_filled_in_where_the_shell_lacks_it(pulumi: FakePulumi) -> None:
    pulumi.project.state.mkdir()
    read_delivery(pulumi.project, "local", PLAIN)
    assert pulumi.environ["PULUMI_BACKEND_URL"] == pulumi.project.state.as_uri()
    assert pulumi.environ["PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER"] == "true"
    assert Path(pulumi.environ["PULUMI_CONFIG_PASSPHRASE_FILE"]).parent == pulumi.project.state


def test_what_the_shell_sets_wins_over_the_local_backend(pulumi: FakePulumi) -> None:
    pulumi.project.state.mkdir()
    read_delivery(pulumi.project, "local", PLAIN | {"PULUMI_BACKEND_URL": "s3://x", "PULUMI_CONFIG_PASSPHRASE": "p"})
    assert pulumi.environ["PULUMI_BACKEND_URL"] == "s3://x"
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in pulumi.environ


def test_the_local_stack_file_forgets_the_salt_of_this_machine(project: Project) -> None:
    local, dev = (project.root / f"Pulumi.{name}.yaml" for name in ("local", "dev"))
    for file in (local, dev):
        file.write_text("config:\n  a: b # why\nencryptionsalt: v1:x\n")
    forget_salt(project, "local")
    assert "encryptionsalt" in local.read_text()  # this backend is the user's own
    project.state.mkdir()
    forget_salt(project, "local")
    forget_salt(project, "dev")
    assert local.read_text() == "config:\n  a: b # why\n"
    assert "encryptionsalt" in dev.read_text()


def test_another_stack_gets_no_local_backend(project: Project) -> None:
    project.state.mkdir()
    assert "PULUMI_BACKEND_URL" not in engine_environment(project, "prod", PLAIN)


def test_the_project_is_found_from_a_folder_inside_it(project: Project) -> None:
    inside = project.root / "docs" / "decisions"
    inside.mkdir(parents=True)
    assert find_project(inside) == project


def test_no_project_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsctl.project.__file__", str(tmp_path / "site-packages" / "opsctl" / "project.py"))
    with pytest.raises(NotUsable, match=r"no Pulumi\.yaml in"):
        find_project(tmp_path)


def test_smoke_test_asks_the_url_of_the_stack(
    opsctl: Run, service: PlayedService, pulumi: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi.says(OUTPUTS | {"url": service.url + "/"})
    monkeypatch.chdir(pulumi.project.root)
    monkeypatch.setenv("PATH", PLAIN["PATH"])
    ended = opsctl("smoke-test", "--stack", "local", "-o", "json")
    assert ended.code == 0
    assert (ended.document["stack"], ended.document["url"]) == ("local", service.url)


@pytest.mark.parametrize("jobs", [None, {"kind": "process", "source": None}])
def test_a_local_stack_without_documents_of_its_own_is_asked_about_the_demo_corpus(
    jobs: object, opsctl: Run, service: PlayedService, pulumi: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_of_the_local_stack(jobs, opsctl, service, pulumi, monkeypatch)
    assert load_golden()[0].question in asked


def test_a_local_stack_with_documents_of_its_own_is_asked_about_these(
    opsctl: Run, service: PlayedService, pulumi: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = {"kind": "process", "command": ["python"], "source": "my-documents"}
    asked = asked_of_the_local_stack(jobs, opsctl, service, pulumi, monkeypatch)
    assert not set(asked) & {golden.question for golden in load_golden()}
    assert asked.count("It often rains in Bergen.") == 2  # once to /search, once to /rag


def asked_of_the_local_stack(
    jobs: object, opsctl: Run, service: PlayedService, pulumi: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What a smoke test asks; the service holds one document."""
    document = source("Weather") | {"text": "It often rains in Bergen."}
    asked: list[str] = []

    def answer(body: dict[str, Any], good: Reply) -> Reply:
        asked.append(body["query"])
        return good if body["query"] else Reply(422, {"detail": "?"})

    service.answers["/search"] = lambda body: answer(body, Reply(body={"results": [document]}))
    service.answers["/rag"] = lambda body: answer(body, Reply(body=rag_answer("Weather")))
    pulumi.says(OUTPUTS | {"url": service.url, "jobs": jobs})
    monkeypatch.chdir(pulumi.project.root)
    monkeypatch.setenv("PATH", PLAIN["PATH"])
    ended = opsctl("smoke-test", "--stack", "local", "-o", "json")
    assert ended.document["stack"] == "local"
    return asked


def test_smoke_test_of_a_first_phase_stack_says_what_to_run(
    opsctl: Run, pulumi: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi.says(OUTPUTS | {"url": None})
    monkeypatch.chdir(pulumi.project.root)
    monkeypatch.setenv("PATH", PLAIN["PATH"])
    ended = opsctl("smoke-test", "--stack", "dev")
    assert (ended.code, ended.out) == (2, "")
    assert "opsctl deploy --stack dev" in ended.err


@pytest.mark.pulumi
def test_the_real_engine_hands_over_the_outputs_of_a_stack_and_knows_a_missing_one(project: Project) -> None:
    """A file backend and an imported state: no program has to run."""
    own = Project(Path(__file__).parents[3])
    environ = {**os.environ, "PULUMI_CONFIG_PASSPHRASE": "x", "PULUMI_BACKEND_URL": f"file://{project.root}/.state"}
    project.state.with_name(".state").mkdir()
    (project.root / "Pulumi.yaml").write_text("name: rag-platform\nruntime: python\n")
    try:
        engine = find_pulumi(own, environ)
    except ToolMissing:
        pytest.skip("no Pulumi CLI on PATH or in .tools/bin")
    environ["PATH"] = f"{engine.parent}:{environ['PATH']}"

    def run(*args: str, given: str | None = None) -> str:
        command = [str(engine), *args, "--non-interactive"]
        return subprocess.run(
            command, cwd=project.root, env=environ, input=given, capture_output=True, text=True, check=True
        ).stdout

    run("stack", "init", "local")
    with pytest.raises(NotDeployed):
        read_delivery(project, "local", environ)
    state = json.loads(run("stack", "export", "--stack", "local"))
    urn = "urn:pulumi:local::rag-platform::pulumi:pulumi:Stack::rag-platform-local"
    root = {"urn": urn, "custom": False, "type": "pulumi:pulumi:Stack", "outputs": OUTPUTS}
    state["deployment"]["resources"] = [root]
    run("stack", "import", "--stack", "local", given=json.dumps(state))
    assert read_delivery(project, "local", environ).bundle is not None
    with pytest.raises(StackNotFound):
        read_delivery(project, "prod", environ)
