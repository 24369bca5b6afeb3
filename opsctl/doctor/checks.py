"""What a machine needs, as pure functions of its facts: each says what it found and the command that fixes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsctl.doctor.machine import IMAGE_BUILDERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.doctor.machine import Machine, Version

PYTHON = (3, 11)
PULUMI = (3, 200)
GO = (1, 24)  # what the pinned modules under tools/ need
DISK_GIB = 3.0  # virtual environment 1.3, Go build of the engine 1.2, models and index 0.2

# The package of a program where it isn't the program's own name.
PACKAGES = {
    ("aws", "apt-get"): "awscli",
    ("aws", "dnf"): "awscli2",
    ("aws", "apk"): "aws-cli",
    ("aws", "brew"): "awscli",
    ("redis-server", "dnf"): "redis",
    ("redis-server", "apk"): "redis",
    ("redis-server", "brew"): "redis",
}
INSTALL = {
    "apt-get": "sudo apt-get install -y {}",
    "dnf": "sudo dnf install -y {}",
    "apk": "sudo apk add {}",
    "brew": "brew install {}",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One need of this machine.

    Attributes:
        fix: the command that meets it; None where it is met.
        required: False where only a part of the work needs it.
    """

    name: str
    ok: bool
    found: str
    fix: str | None = None
    required: bool = True


def python(machine: Machine) -> Finding:
    """Python of at least 3.11."""
    fix = None if machine.python >= PYTHON else _install(machine, "python3.11")
    return Finding("python", fix is None, _spell(machine.python), fix)


def virtual_environment(machine: Machine) -> Finding:
    """A virtual environment that contains pip, which Pulumi's Python host calls."""
    if not machine.in_venv:
        return Finding("virtual environment", ok=False, found="opsctl runs outside one", fix="make setup")
    if not machine.pip:
        return Finding("virtual environment", ok=False, found="no pip in it", fix="uv pip install pip")
    return Finding("virtual environment", ok=True, found="with pip")


def pulumi(machine: Machine) -> Finding:
    """The engine and its Python host, or Go to build them."""
    tool, host = machine.tools.get("pulumi"), machine.tools.get("pulumi-language-python")
    if tool is None:
        found = "absent"
    elif tool.version is None:
        found = f"{tool.path} doesn't say its version"
    elif tool.version < PULUMI:
        found = f"{_spell(tool.version)}, older than {_spell(PULUMI)}"
    elif host is None:
        found = f"{_spell(tool.version)} without pulumi-language-python"
    else:
        return Finding("pulumi", ok=True, found=f"{_spell(tool.version)} at {tool.path}")
    return Finding("pulumi", ok=False, found=found, fix="make tools")


def go(machine: Machine) -> Finding:
    """Go, which builds the engine where it can't be downloaded; needed only while the engine is missing."""
    tool = machine.tools.get("go")
    version = tool.version if tool else None
    fix = None if version is not None and version >= GO else "install Go >= 1.24 from https://go.dev/dl"
    found = "absent" if version is None else _spell(version)
    return Finding("go", fix is None, found, fix, required=not pulumi(machine).ok)


def make(machine: Machine) -> Finding:
    """Make, which every documented command starts with."""
    return _program(machine, "make", required=True)


def disk(machine: Machine) -> Finding:
    """Room for the environment, the tools, and the models."""
    ok = machine.disk_free_gib >= DISK_GIB
    fix = None if ok else f"free {DISK_GIB - machine.disk_free_gib:.1f} GiB, for example: uv cache clean"
    return Finding("disk", ok, f"{machine.disk_free_gib:.1f} GiB free", fix)


def stack_file(machine: Machine) -> Finding:
    """A stack file of the local stack that the program accepts."""
    problem = machine.stack_file_problem
    fix = None if problem is None else "correct the named key, or: git checkout Pulumi.local.yaml"
    return Finding("stack file", problem is None, problem or "Pulumi.local.yaml is valid", fix)


def ports(machine: Machine) -> Finding:
    """Ports of the local stack that are free, or held by itself."""
    numbers = ", ".join(str(port) for port in machine.ports)
    if not machine.taken:
        return Finding("ports", ok=True, found=f"{numbers} free, or this stack's own")
    parts = [line.partition("; ") for line in machine.taken]
    found, fix = ("; ".join(part[at] for part in parts) for at in (0, 2))
    return Finding("ports", ok=False, found=found, fix=fix)


def image_builder(machine: Machine) -> Finding:
    """Something that builds images, for the cloud topologies."""
    found = [name for name in IMAGE_BUILDERS if name in machine.tools and (name != "docker" or machine.image_daemon)]
    if found:
        return Finding("image builder", ok=True, found=", ".join(found), required=False)
    if "docker" in machine.tools:
        fix = "start the docker daemon: sudo systemctl start docker"
        return Finding("image builder", ok=False, found="docker without its daemon", fix=fix, required=False)
    return Finding("image builder", ok=False, found="absent", fix=_install(machine, "podman"), required=False)


def aws_credentials(machine: Machine) -> Finding:
    """AWS credentials, for the cloud topologies; present, not tried."""
    where = machine.aws_credentials
    fix = None if where else "aws configure sso"
    return Finding("aws credentials", where is not None, where or "absent", fix, required=False)


def aws_cli(machine: Machine) -> Finding:
    """The AWS CLI, for topology eks: Pulumi asks it for a token of the cluster at each use, and keeps none."""
    return _program(machine, "aws", required=False)


def redis(machine: Machine) -> Finding:
    """redis-server, for the tests of the cache."""
    return _program(machine, "redis-server", required=False)


CHECKS: tuple[Callable[[Machine], Finding], ...] = (
    python,
    virtual_environment,
    make,
    pulumi,
    go,
    disk,
    stack_file,
    ports,
    image_builder,
    aws_credentials,
    aws_cli,
    redis,
)


def examine(machine: Machine) -> tuple[Finding, ...]:
    """All findings, in the order in which a new user meets the needs."""
    return tuple(check(machine) for check in CHECKS)


def _program(machine: Machine, name: str, *, required: bool) -> Finding:
    tool = machine.tools.get(name)
    if tool is not None:
        return Finding(name, ok=True, found=tool.path, required=required)
    return Finding(name, ok=False, found="absent", fix=_install(machine, name), required=required)


def _install(machine: Machine, program: str) -> str:
    if machine.installer is None:
        return f"install {program}"
    return INSTALL[machine.installer].format(PACKAGES.get((program, machine.installer), program))


def _spell(version: Version) -> str:
    return ".".join(str(part) for part in version)
