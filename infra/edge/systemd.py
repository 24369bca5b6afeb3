"""Programs kept up by the host's systemd: a unit each, started at boot too; stopped without a trace.

The login has no rights over systemd but those that sudo gives it; the programs run as the login.
"""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from infra.edge.errors import EdgeError
from infra.edge.supervisor_rpc import ProgramState
from infra.edge.systemd_unit import unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.edge.layout import RunFolder
    from infra.edge.supervisor_conf import Program

UNITS = Path("/etc/systemd/system")
SUDO = ("sudo", "-n")
QUICK_S = 60.0
TAIL_LINES = 20
# https://www.freedesktop.org/wiki/Software/systemd/dbus/: ActiveState, here in supervisord's words.
STATES = {
    "active": "RUNNING",
    "reloading": "RUNNING",
    "activating": "STARTING",
    "deactivating": "STOPPING",
    "inactive": "STOPPED",
    "failed": "FATAL",
}


@dataclass(frozen=True, slots=True)
class Systemd:
    """The units of one stack.

    Attributes:
        folder: of files that go with them.
        root: working directory of the programs.
        python: their interpreter.
        units: where systemd finds units.
        sudo: words before a command that needs rights.
    """

    folder: RunFolder
    root: Path
    python: Path
    units: Path = UNITS
    sudo: tuple[str, ...] = field(default=SUDO)

    @property
    def address(self) -> str:
        """As `Manager.address`."""
        return f"systemd:{self._prefix}"

    def states(self) -> tuple[ProgramState, ...]:
        """As `Manager.states`."""
        found = []
        for path in self._files():
            shown = dict(
                line.split("=", 1)
                for line in self._systemctl("show", path.name, "-p", "ActiveState,SubState,MainPID").splitlines()
                if "=" in line
            )
            state = STATES.get(shown.get("ActiveState", ""), "UNKNOWN")
            if shown.get("SubState") == "auto-restart":
                state = "BACKOFF"
            name = path.name.removeprefix(self._prefix).removesuffix(".service")
            found.append(ProgramState(name, state, int(shown.get("MainPID", "0"))))
        return tuple(found)

    def tail(self, program: str) -> list[str]:
        """As `Manager.tail`."""
        words = [*self.sudo, "journalctl", "-u", self._name(program), "-n", str(TAIL_LINES), "-o", "cat", "-q"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=QUICK_S, check=False)
        lines = [line.rstrip() for line in done.stdout.splitlines()]
        return [line for line in lines if line and not line.startswith(self._prefix)]

    def drift(self, programs: Sequence[Program]) -> str | None:
        """As `Manager.drift`."""
        found = {state.name: state for state in self.states()}
        down = [f"{program.name} is {found[program.name].state}" for program in programs if self._down(program, found)]
        down += [f"{program.name} is unknown" for program in programs if program.name not in found]
        if down:
            return ", ".join(down)
        wanted = {self._name(program.name): self._unit(program) for program in programs}
        same = wanted == {path.name: path.read_text() for path in self._files()}
        return None if same else "its units are out of date"

    def converge(self, programs: Sequence[Program]) -> None:
        """As `Manager.converge`."""
        self.folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        wanted = {self._name(program.name): self._unit(program) for program in programs}
        current = {path.name: path.read_text() for path in self._files()}
        changed = [name for name, text in wanted.items() if current.get(name) != text]
        for name in current.keys() - wanted.keys():
            self._remove(name, programs)
        for name in changed:
            self._run(*self.sudo, "install", "-m", "644", "/dev/stdin", str(self.units / name), stdin=wanted[name])
        if changed:
            self._systemctl("daemon-reload")
        patience = sum(program.stop_wait_s for program in programs) + QUICK_S
        for name in wanted:
            self._systemctl("enable", "--quiet", name)
            self._systemctl("restart" if name in changed else "start", name, limit_s=patience)

    def stop(self, programs: Sequence[Program]) -> None:
        """As `Manager.stop`."""
        for path in reversed(self._files()):
            self._remove(path.name, programs)
        shutil.rmtree(self.folder.path, ignore_errors=True)

    def _remove(self, name: str, programs: Sequence[Program]) -> None:
        patience = max((program.stop_wait_s for program in programs), default=0) + QUICK_S
        self._systemctl("disable", "--quiet", "--now", name, limit_s=patience)
        self._run(*self.sudo, "rm", "-f", str(self.units / name))
        self._systemctl("daemon-reload")
        self._systemctl("reset-failed", name, check=False)

    @staticmethod
    def _down(program: Program, found: dict[str, ProgramState]) -> bool:
        return program.name in found and not found[program.name].up

    @property
    def _prefix(self) -> str:
        return f"rag-edge-{re.sub(r'[^A-Za-z0-9-]', '-', self.folder.path.parent.name)}."

    def _name(self, program: str) -> str:
        return f"{self._prefix}{program}.service"

    def _files(self) -> list[Path]:
        return sorted(self.units.glob(f"{self._prefix}*.service"))

    def _unit(self, program: Program) -> str:
        return unit(
            program,
            stack=self.folder.path.parent.name,
            base=self.folder.path.parent,
            root=self.root,
            python=self.python,
            user=getpass.getuser(),
            mark=self.address,
        )

    def _systemctl(self, *words: str, limit_s: float = QUICK_S, check: bool = True) -> str:
        return self._run(*self.sudo, "systemctl", *words, limit_s=limit_s, check=check)

    def _run(self, *command: str, stdin: str = "", limit_s: float = QUICK_S, check: bool = True) -> str:
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=limit_s, check=False)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise EdgeError(f"{' '.join(command)}: {exc}; run the command again") from exc
        if done.returncode and check:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise EdgeError(f"`{' '.join(command)}` failed: {said}")
        return done.stdout
