"""A container of an image as an orchestrator runs it: its own user, a read-only root, an empty /tmp, no capability.

By runc, whose network is the machine's own: stand-ins on loopback are reached as they are.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.image import caches

UID = 10001
LAMBDA_UID = 993  # Lambda ignores the image's user
STOP_S = 60


@dataclass(frozen=True)
class Image:
    """A built image, its tree mounted."""

    name: str
    root: Path
    config: Mapping[str, Any]

    @property
    def env(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for pair in self.config["Env"])

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.config["Labels"]
        return labels


@contextmanager
def mounted(name: str) -> Iterator[Image]:
    inspected = json.loads(caches.buildah("inspect", "--type", "image", name).stdout)
    container = caches.buildah("from", "--pull-never", name).stdout.strip()
    try:
        root = caches.buildah("mount", container).stdout.strip()
        yield Image(name, Path(root), inspected["Docker"]["config"])
    finally:
        caches.buildah("rm", container)


@dataclass(frozen=True)
class Container:
    """A running one; the process is runc, which hands signals on and ends with the container's exit code."""

    id: str
    process: subprocess.Popen[str]

    def execute(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as its user."""
        return subprocess.run(
            ["runc", "exec", self.id, *command], capture_output=True, text=True, timeout=60, check=False
        )

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(STOP_S)


@contextmanager
def started(
    image: Image,
    folder: Path,
    env: Mapping[str, object],
    command: Sequence[str] | None = None,
    *,
    uid: int = UID,
    mounts: Mapping[str, Path] | None = None,
) -> Iterator[Container]:
    """`command` is the image's own unless given; `mounts` are read-only; what it says goes to folder/log."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"rag-{uuid.uuid4().hex[:12]}"
    spec = _spec(image, command or image.config["Cmd"], {name: str(value) for name, value in env.items()}, uid)
    spec["mounts"] += [
        {"destination": where, "type": "bind", "source": str(path), "options": ["bind", "ro", "nosuid", "nodev"]}
        for where, path in (mounts or {}).items()
    ]
    (folder / "config.json").write_text(json.dumps(spec))
    with (folder / "log").open("w") as log:
        words = ["runc", "run", "--bundle", str(folder), name]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True)
    try:
        yield Container(name, process)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                subprocess.run(["runc", "kill", name, "KILL"], check=False)
                process.wait()
        subprocess.run(["runc", "delete", "--force", name], capture_output=True, check=False)


def _spec(image: Image, command: Sequence[str], env: Mapping[str, str], uid: int) -> dict[str, Any]:
    def mount(where: str, kind: str, *options: str) -> dict[str, Any]:
        return {"destination": where, "type": kind, "source": kind, "options": ["nosuid", "noexec", *options]}

    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": uid, "gid": uid},
            "args": list(command),
            "env": [f"{name}={value}" for name, value in {**image.env, **env}.items()],
            "cwd": image.config["WorkingDir"] or "/",
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "root": {"path": str(image.root), "readonly": True},
        "mounts": [
            mount("/proc", "proc"),
            mount("/dev", "tmpfs", "mode=755"),
            mount("/tmp", "tmpfs", "nodev", "mode=1777", "size=64m"),  # noqa: S108 - in the container
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
    }
