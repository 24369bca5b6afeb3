"""A stack of this project, driven through the Pulumi CLI as a user does; its config file is the test's own."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psutil
import yaml

from infra.config.plaintext import SECRET_PATHS

ROOT = Path(__file__).parents[2]
AT_ONCE = 3  # a preview mostly waits
QUIET = "using pulumi-resource-"
# a busy emulator drops a connection after it did what was asked; the provider then asks again and is told off
DROPPED = (
    "use of closed network connection",
    "Resource.AlreadyAssociated",
    "InvalidPermission.NotFound",
    "InvalidAttachment.NotFound",
    "ReplicationGroupAlreadyExists",
    "InvalidRoute.NotFound",
)
NOBODYS = re.compile(r"ReplicationGroupAlreadyExists: Replication group (\S+) already exists")
# resources, as URN globs, that the cloud at hand does not serve: logs:PutQueryDefinition, ce:CreateAnomaly*
UNSERVED_TYPES = (
    "aws:cloudwatch/queryDefinition:QueryDefinition",
    "aws:costexplorer/anomalyMonitor:AnomalyMonitor",
    "aws:costexplorer/anomalySubscription:AnomalySubscription",
)
NOT_SERVED = tuple(f"**{kind}**" for kind in UNSERVED_TYPES)
# the command is the first word, or the second to opsctl's engine
PASSING_OVER = r"""#!/bin/sh
case "$1 $2" in up\ * | preview\ * | "--non-interactive up" | "--non-interactive preview")
  exec {pulumi} "$@" {words} ;;
esac
exec {pulumi} "$@"
"""
Step = tuple[str, str, str]


@dataclass(frozen=True)
class Plan:
    """A preview as the engine's JSON."""

    document: dict[str, Any]

    @property
    def steps(self) -> list[Step]:
        """Operation, type, logical name; the same is left out."""
        found = [(step["op"], *step["urn"].rpartition("::")[::2]) for step in self.document["steps"]]
        steps = [(op, urn.rpartition("$")[2].rpartition("::")[2], name) for op, urn, name in found]
        return sorted(step for step in steps if step[0] not in {"same", "read"} and not step[1].startswith("pulumi:"))

    @property
    def errors(self) -> list[str]:
        return [each["message"] for each in self.document["diagnostics"] if each.get("severity") == "error"]

    @property
    def protected(self) -> list[str]:
        """Logical names of what would have to be deleted and may not be."""
        said = self.document["diagnostics"]
        return [each["urn"].rpartition("::")[2] for each in said if "it is protected" in each.get("message", "")]


@dataclass
class Stack:
    """Commands on one stack, in a project folder of its own; `log` keeps everything that they printed."""

    name: str
    folder: Path
    log: list[str] = field(default_factory=list)
    excluded: tuple[str, ...] = NOT_SERVED

    @property
    def file(self) -> Path:
        return self.folder / f"Pulumi.{self.name}.yaml"

    def create(self, copied_from: str) -> None:
        shutil.copy(ROOT / f"Pulumi.{copied_from}.yaml", self.file)
        shutil.copy(ROOT / "Pulumi.yaml", self.folder)
        (self.folder / "infra").symlink_to(ROOT / "infra")
        self._leave_out()
        self.run("stack", "init", self.name)

    def _leave_out(self) -> None:
        """Pulumi as this project's own tool, which opsctl prefers too: it passes over what the cloud doesn't serve."""
        words = shlex.join(word for glob in self.excluded for word in ("--exclude", glob))
        own = self.folder / ".tools" / "bin" / "pulumi"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(PASSING_OVER.format(pulumi=shlex.quote(str(shutil.which("pulumi"))), words=words))
        own.chmod(0o755)

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = self._once(*words)
        if words[0] in {"up", "destroy"} and dropped(done):
            for name in set(
                NOBODYS.findall(done.stdout + done.stderr)
            ):  # made, and in no state: the next has another name
                boto3.client("elasticache").delete_replication_group(ReplicationGroupId=name)
            self._once("refresh", "--yes", "--skip-preview")  # as a user does before typing it again
            done = self._once(*words)
        if check and done.returncode:
            text = done.stdout + done.stderr
            lines = [line.strip() for line in text.splitlines() if line.strip() and QUIET not in line]
            errors = list(dict.fromkeys(line for line in lines if line.startswith("error:")))
            shown = "\n".join([*errors, "in the end:", *lines[-60:]])
            raise AssertionError(f"pulumi {' '.join(words)} ended with {done.returncode}: {shown}")
        return done

    def _once(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.command(*words), cwd=self.folder, capture_output=True, text=True, check=False)
        self.log.append(done.stdout + done.stderr)
        return done

    def command(self, *words: str) -> list[str]:
        named = words[:2] == ("stack", "init")
        return [
            str(self.folder / ".tools" / "bin" / "pulumi"),
            *words,
            *([] if named else ["-s", self.name]),
            "--non-interactive",
        ]

    def set(self, path: str, value: object, *, secret: bool = False, file: Path | None = None) -> None:
        kind = ["--secret"] if secret else []
        text = value if isinstance(value, str) else json.dumps(value)
        self.run("config", "set", *kind, "--path", f"rag-platform:{path}", text, *_of(file))

    def config(self) -> dict[str, Any]:
        return dict(yaml.safe_load(self.file.read_text())["config"])

    def up(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("up", "--yes", "--skip-preview", check=check)

    def unchanged(self) -> bool:
        done = self.run("preview", "--expect-no-changes", "--diff", check=False)
        return done.returncode == 0

    def plan(self, file: Path | None = None, *, check: bool = True) -> Plan:
        """What the next `up` would do."""
        return Plan(json.loads(self.run("preview", "--json", *_of(file), check=check).stdout))

    def what_if(self, values: Mapping[str, Any], *, check: bool = True) -> Plan:
        """What the next `up` would do with these keys edited; the stack's own file stays as it is."""
        file = self.folder / f"what-if-{uuid4().hex}.yaml"
        document = yaml.safe_load(self.file.read_text())
        secrets = {path: value for path, value in values.items() if is_secret(path)}
        for path in values.keys() - secrets.keys():
            lay(document["config"], f"rag-platform:{path}".split("."), values[path])
        file.write_text(yaml.safe_dump(document))
        for path, value in secrets.items():
            self.set(path, value, secret=True, file=file)
        return self.plan(file, check=check)

    def what_ifs(self, edits: Mapping[str, Mapping[str, Any]]) -> dict[str, Plan]:
        """What the next `up` would do for each edit alone."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(edits, pool.map(self.what_if, edits.values()), strict=True))

    def outputs(self) -> dict[str, Any]:
        return dict(json.loads(self.run("stack", "output", "--json").stdout))

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.run("stack", "export").stdout))

    def exported(self, folder: Path) -> Path:
        """The state with its secrets in the clear, as the scan reads it."""
        file = folder / "state.json"
        self.run("stack", "export", "--show-secrets", "--file", str(file))
        return file

    def resources(self) -> list[str]:
        """URNs of what the stack holds."""
        held = self.state()["deployment"].get("resources") or []
        return [each["urn"] for each in held if not each["type"].startswith("pulumi:")]

    def interrupt(self, what: str, count: int, how: Callable[[psutil.Process], None]) -> int:
        """Start an `up`, wait for so many resources `created` or `updated`, do `how` to it; returns its exit code."""
        words = self.command("up", "--yes", "--skip-preview")
        with subprocess.Popen(
            words, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                self.log.append(line)
                count -= f" {what} (" in line
                if count == 0:
                    how(psutil.Process(process.pid))
                    count = -1
            return process.wait(timeout=300)


def dropped(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether a command failed of a connection that the emulator dropped."""
    return done.returncode != 0 and any(each in done.stdout + done.stderr for each in DROPPED)


def is_secret(path: str) -> bool:
    return path.startswith("secrets.") or path in SECRET_PATHS


def lay(document: dict[str, Any], keys: Sequence[str], value: object) -> None:
    """Set one nested key; sections on the way are made where they are missing."""
    for key in keys[:-1]:
        document = document.setdefault(key, {})
    document[keys[-1]] = value


def _of(file: Path | None) -> list[str]:
    return [] if file is None else ["--config-file", str(file)]


# A job that a shell runs in the background ignores SIGINT, and so would everything below it.
INTERRUPTIBLE = ("env", "--default-signal=INT")


def kill_the_program(engine: psutil.Process) -> None:
    """The Python program dies, the engine lives."""
    for child in engine.children(recursive=True):
        if any("pulumi-language-python-exec" in word for word in child.cmdline()):
            child.kill()
