"""The Pulumi CLI on a state, a stack and a stack file of its own, for stacks that need no cloud."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.edge.layout import RunFolder
from infra.edge.supervisor_rpc import states

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Engine:
    """The Pulumi CLI on a state, a stack and a stack file of its own."""

    name: str
    home: Path
    ports: tuple[int, int, int]

    @property
    def folder(self) -> Path:
        return ROOT / ".edge" / self.name

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def pids(self) -> dict[str, int]:
        return {state.name: state.pid for state in states(RunFolder(self.folder / "run").socket)}

    def configure(self, **edge: Any) -> None:
        config = {"config": yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"]}
        port, llm_port, metrics_port = self.ports
        ports = {"port": port, "llmPort": llm_port, "metricsPort": metrics_port}
        config["config"]["rag-platform:hybrid"]["edge"] |= ports | {"source": str(self.home / "documents")} | edge
        (self.home / "stack.yaml").write_text(yaml.safe_dump(config))

    def run(
        self, *words: str, folder: Path = ROOT, check: bool = True, limit_s: float = 180
    ) -> subprocess.CompletedProcess[str]:
        binary = shutil.which("pulumi", path=f"{os.environ['PATH']}:{ROOT / '.tools/bin'}")
        assert binary, "no Pulumi CLI: run `make tools`"
        done = subprocess.run(
            [binary, *words, "--non-interactive"],
            cwd=folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self, command: str, *words: str) -> subprocess.Popen[bytes]:
        """A command on the stack that is left running, in a process group of its own."""
        binary = shutil.which("pulumi", path=f"{os.environ['PATH']}:{ROOT / '.tools/bin'}")
        assert binary
        stack = ("--stack", self.name, "--config-file", str(self.home / "stack.yaml"), "--non-interactive")
        return subprocess.Popen(
            [binary, command, *words, *stack],
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def on_stack(self, command: str, *words: str, check: bool = True, limit_s: float = 180) -> str:
        stack = ("--stack", self.name, "--config-file", str(self.home / "stack.yaml"))
        done = self.run(command, *words, *stack, check=check, limit_s=limit_s)
        return done.stdout + done.stderr

    def environment(self) -> dict[str, str]:
        python = Path(sys.prefix, "bin")
        return {
            "HOME": str(Path.home()),
            "PATH": f"{python}:{os.environ['PATH']}:{ROOT / '.tools/bin'}",
            "VIRTUAL_ENV": sys.prefix,
            "PULUMI_BACKEND_URL": self.home.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }


def free_ports() -> tuple[int, int, int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    first, second, third = (probe.getsockname()[1] for probe in probes)
    for probe in probes:
        probe.close()
    return first, second, third
