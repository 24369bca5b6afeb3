from __future__ import annotations

import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.edge.ports import Listen
from opsctl.doctor import checks
from opsctl.doctor.checks import CHECKS, Finding, examine
from opsctl.doctor.machine import Machine, Tool, look
from opsctl.doctor.stack_file import local_listens
from opsctl.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.opsctl.conftest import Run

ROOT = Path(__file__).parents[3]
GOOD = Machine(
    python=(3, 11, 7),
    in_venv=True,
    pip=True,
    disk_free_gib=50,
    tools={
        "pulumi": Tool("/bin/pulumi", (3, 213, 0)),
        "pulumi-language-python": Tool("/bin/pulumi-language-python"),
        "go": Tool("/bin/go", (1, 26, 0)),
        "make": Tool("/bin/make"),
        "podman": Tool("/bin/podman"),
        "redis-server": Tool("/bin/redis-server"),
        "aws": Tool("/bin/aws"),
    },
    ports=(8080, 8081, 9090),
    aws_credentials="AWS_PROFILE",
    installer="apt-get",
)


def without(*names: str, **changed: Any) -> Machine:
    return replace(GOOD, tools={name: tool for name, tool in GOOD.tools.items() if name not in names}, **changed)


def having(name: str, tool: Tool, **changed: Any) -> Machine:
    return replace(GOOD, tools={**GOOD.tools, name: tool}, **changed)


def test_a_good_machine_lacks_nothing() -> None:
    assert all(finding.ok and finding.fix is None for finding in examine(GOOD))


CASES: list[tuple[Callable[[Machine], Finding], Machine, str, str]] = [
    (checks.python, replace(GOOD, python=(3, 10, 4)), "3.10.4", "sudo apt-get install -y python3.11"),
    (checks.virtual_environment, replace(GOOD, in_venv=False), "outside", "make setup"),
    (checks.virtual_environment, replace(GOOD, pip=False), "no pip", "uv pip install pip"),
    (checks.make, without("make"), "absent", "sudo apt-get install -y make"),
    (checks.make, without("make", installer="brew"), "absent", "brew install make"),
    (checks.make, without("make", installer=None), "absent", "install make"),
    (checks.pulumi, without("pulumi"), "absent", "make tools"),
    (checks.pulumi, having("pulumi", Tool("/bin/pulumi", (3, 199, 9))), "3.199.9, older than 3.200", "make tools"),
    (checks.pulumi, having("pulumi", Tool("/bin/pulumi")), "doesn't say its version", "make tools"),
    (checks.pulumi, without("pulumi-language-python"), "without pulumi-language-python", "make tools"),
    (checks.disk, replace(GOOD, disk_free_gib=0.5), "0.5 GiB free", "free 2.5 GiB"),
    (checks.stack_file, replace(GOOD, stack_file_problem="topology: unknown"), "topology", "git checkout"),
    (
        checks.ports,
        replace(GOOD, taken=("port 8080 is taken by pid 7 (nginx); stop it (kill 7)", "port 9090 is taken; stop it")),
        "port 8080 is taken by pid 7 (nginx); port 9090 is taken",
        "stop it (kill 7); stop it",
    ),
]


@pytest.mark.parametrize(("check", "machine", "found", "fix"), CASES)
def test_what_is_missing_is_named_with_the_command_that_fixes_it(
    check: Callable[[Machine], Finding], machine: Machine, found: str, fix: str
) -> None:
    finding = check(machine)
    assert (finding.ok, finding.required) == (False, True)
    assert found in finding.found
    assert fix in (finding.fix or "")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_make_command_in_a_fix_is_a_target_of_the_makefile() -> None:
    fixes = " | ".join(check(machine).fix or "" for check, machine, *_ in (*CASES, *OPTIONAL))
    named = set(re.findall(r"(?:^|\W)make ([a-z-]+)", fixes))
    assert named >= {"setup", "tools"}
    assert named <= targets()


def test_every_make_command_that_a_message_names_is_a_target_of_the_makefile() -> None:
    sources = [*(ROOT / "opsctl").rglob("*.py"), *(ROOT / "infra").rglob("*.py"), *(ROOT / "tools").glob("*.*")]
    named = {name for file in sources for name in re.findall(r"[`\"']make ([a-z-]+)", file.read_text())}
    assert named >= {"setup", "tools", "up"}
    assert named <= targets()


OPTIONAL: list[tuple[Callable[[Machine], Finding], Machine, str]] = [
    (checks.image_builder, without("podman"), "sudo apt-get install -y podman"),
    (checks.image_builder, replace(without("podman"), tools={"docker": Tool("/bin/docker")}), "systemctl start docker"),
    (checks.aws_credentials, replace(GOOD, aws_credentials=None), "aws configure"),
    (checks.aws_cli, without("aws", installer="apt-get"), "sudo apt-get install -y awscli"),
    (checks.redis, without("redis-server", installer="brew"), "brew install redis"),
    (checks.go, without("go"), "https://go.dev/dl"),
]


@pytest.mark.parametrize(("check", "machine", "fix"), OPTIONAL)
def test_what_only_a_part_of_the_work_needs_is_optional(
    check: Callable[[Machine], Finding], machine: Machine, fix: str
) -> None:
    finding = check(machine)
    assert (finding.ok, finding.required) == (False, False)
    assert fix in (finding.fix or "")


def test_go_is_required_only_while_pulumi_is_missing() -> None:
    assert checks.go(without("go", "pulumi")).required
    assert not checks.go(without("pulumi")).fix


def test_docker_counts_only_with_its_daemon() -> None:
    machine = having("docker", Tool("/bin/docker"), image_daemon=True)
    assert checks.image_builder(machine).found == "docker, podman"


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_the_facts_are_those_of_this_machine(tmp_path: Path) -> None:
    program(tmp_path, "pulumi", "echo v3.213.0")
    program(tmp_path, "go", "echo go version go1.26.8 linux/amd64")
    program(tmp_path, "docker", "exit 1")
    environ = {"PATH": f"{tmp_path}:/bin", "HOME": str(tmp_path)}
    machine = look(Project(tmp_path), (), None, environ)
    assert machine.tools["pulumi"].version == (3, 213, 0)
    assert machine.tools["go"].version == (1, 26, 8)
    assert (machine.image_daemon, machine.aws_credentials) == (False, None)
    assert machine.in_venv
    assert machine.pip
    assert machine.disk_free_gib > 0


def test_a_program_that_cannot_run_has_no_version(tmp_path: Path) -> None:
    program(tmp_path, "pulumi", "exit 3")
    (tmp_path / "go").write_text("not a program")
    (tmp_path / "go").chmod(0o755)
    machine = look(Project(tmp_path), (), None, {"PATH": f"{tmp_path}:/bin", "HOME": str(tmp_path)})
    assert machine.tools["pulumi"].version is None
    assert machine.tools["go"].version is None


def test_aws_credentials_are_found_where_the_sdk_looks_and_never_shown(tmp_path: Path) -> None:
    def where(**environ: str) -> str | None:
        return look(Project(tmp_path), (), None, {"PATH": "/bin", "HOME": str(tmp_path), **environ}).aws_credentials

    assert where() is None
    assert where(AWS_ACCESS_KEY_ID="AKIAPLANTED") == "AWS_ACCESS_KEY_ID"
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]")
    assert where() == str(tmp_path / ".aws" / "credentials")


def test_a_port_of_another_program_is_found(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = Listen(key="hybrid.edge.port", host="127.0.0.1", port=other.getsockname()[1])
        machine = look(Project(tmp_path), (listen,), None, {"PATH": "/bin", "HOME": str(tmp_path)})
    assert len(machine.taken) == 1
    assert str(listen.port) in checks.ports(machine).found
    assert "hybrid.edge.port" in (checks.ports(machine).fix or "")


def test_ports_come_from_the_stack_file(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.local.yaml").write_text(
        "config:\n  rag-platform:topology: hybrid\n"
        "  rag-platform:hybrid: {edge: {port: 8180, llmPort: 8181}, fallback: {kind: none}}\n"
    )
    ports, problem = local_listens(Project(tmp_path))
    assert problem is None
    assert [(port.port, port.key) for port in ports] == [
        (8180, "hybrid.edge.port"),
        (8181, "hybrid.edge.llmPort"),
        (9090, "hybrid.edge.metricsPort"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "Pulumi.local.yaml: No such file"),
        ("config: {rag-platform:topology: hybrid, rag-platform:hybird: {}}", "hybird"),
        ("config: {rag-platform:topology: hybrid, rag-platform:hybrid: {edge: {port: 80}}}", "hybrid.edge.port"),
        ("config: [", "while parsing"),
        ("", "config: must be a mapping"),
        ("- 1", "config: must be a mapping"),
        ("config: 3", "config: must be a mapping"),
        ("config: [1]", "config: must be a mapping"),
        ("config: {1: 2, rag-platform:topology: lambda}", "1: a key must be text"),
    ],
)
def test_a_wrong_stack_file_is_one_line_and_the_default_ports_are_checked(
    text: str | None, said: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "Pulumi.local.yaml").write_text(text)
    ports, problem = local_listens(Project(tmp_path))
    assert said in (problem or "")
    assert "\n" not in (problem or "")
    assert ports[0].port == 8080


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: rag-platform\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_doctor_ends_with_1_and_names_what_is_missing(opsctl: Run, checkout: Path) -> None:
    ended = opsctl("doctor", "--output", "json")
    assert ended.code == 1
    assert ended.document["ok"] is False
    by_name = {finding["name"]: finding for finding in ended.document["findings"]}
    assert by_name["stack file"]["status"] == "missing"
    assert by_name["python"] == {
        "name": "python",
        "status": "ok",
        "required": True,
        "found": by_name["python"]["found"],
        "fix": None,
    }
    assert "stack file" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert checkout.name not in ended.err


@pytest.mark.usefixtures("checkout")
def test_doctor_ends_with_0_where_only_optional_things_are_missing(
    opsctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsctl.commands.doctor.look", lambda *_: without("podman", aws_credentials=None))
    ended = opsctl("doctor")
    assert ended.code == 0
    lines = {line[:15].strip(): line for line in ended.out.splitlines()}
    assert "optional" in lines["aws credentials"]
    assert "aws configure sso" in lines["aws credentials"]
    assert len(lines) == len(CHECKS) + 1
