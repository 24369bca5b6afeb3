"""What this machine is like, gathered once: versions, files, ports, disk. It judges nothing and calls no cloud."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from infra.edge.layout import RunFolder, stack_home
from infra.edge.ports import conflicts
from opsctl.project import LOCAL_STACK, engine_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.edge.ports import Listen
    from opsctl.project import Project

PROBE_LIMIT_S = 10.0
VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
INSTALLERS = ("apt-get", "dnf", "apk", "brew")
IMAGE_BUILDERS = ("docker", "buildah", "podman")

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: where it is, and its version where the check reads it."""

    path: str
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that the checks look at.

    Attributes:
        ports: where the local stack listens.
        taken: one line, "what; how to fix it", for each of them that another program has.
        aws_credentials: where the SDK would find some.
        installer: the system's package manager.
    """

    python: Version
    in_venv: bool
    pip: bool
    disk_free_gib: float
    tools: Mapping[str, Tool] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    taken: tuple[str, ...] = ()
    stack_file_problem: str | None = None
    image_daemon: bool = False
    aws_credentials: str | None = None
    installer: str | None = None


def look(project: Project, listens: tuple[Listen, ...], problem: str | None, environ: Mapping[str, str]) -> Machine:
    """Gather the facts of this machine; `problem` is what is wrong with the stack file, if anything."""
    own_supervisor = RunFolder(project.root / stack_home(LOCAL_STACK) / "run").socket
    path = engine_path(project, environ)
    tools = {name: Tool(at) for name in _PROGRAMS if (at := shutil.which(name, path=path)) is not None}
    for name, arguments in _VERSIONED.items():
        if name in tools:
            tools[name] = Tool(tools[name].path, _version([tools[name].path, *arguments]))
    docker = tools.get("docker")
    return Machine(
        python=sys.version_info[:3],
        in_venv=sys.prefix != sys.base_prefix,
        pip=find_spec("pip") is not None,
        disk_free_gib=shutil.disk_usage(project.root).free / 2**30,
        tools=tools,
        ports=tuple(listen.port for listen in listens),
        taken=conflicts(listens, ours=f"unix://{own_supervisor}"),
        stack_file_problem=problem,
        image_daemon=docker is not None and _answers([docker.path, "info"]),
        aws_credentials=_aws_credentials(environ),
        installer=next((name for name in INSTALLERS if shutil.which(name, path=path)), None),
    )


_PROGRAMS = ("pulumi", "pulumi-language-python", "go", "make", "redis-server", "aws", *IMAGE_BUILDERS)
_VERSIONED = {"pulumi": ("version",), "go": ("version",)}


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROBE_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # a program that can't be started, or hangs, is as good as absent


def _version(command: list[str]) -> Version | None:
    done = _run(command)
    found = VERSION.search(done.stdout) if done is not None and done.returncode == 0 else None
    return None if found is None else tuple(int(part) for part in found.groups(default="0"))


def _answers(command: list[str]) -> bool:
    done = _run(command)
    return done is not None and done.returncode == 0


def _aws_credentials(environ: Mapping[str, str]) -> str | None:
    """Where the SDK would find credentials; their values are not read."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ):
        if environ.get(name):
            return name
    home = Path(environ.get("HOME", "~")).expanduser()
    for variable, default in (("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")):
        file = Path(environ.get(variable) or home / ".aws" / default)
        if file.is_file():
            return str(file)
    return None
