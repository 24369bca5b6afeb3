"""Programs kept up on this host by supervisord: brought to what is wanted, observed, and stopped without a trace."""

from __future__ import annotations

import shutil
import subprocess
import xmlrpc.client
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from infra.edge import supervisor_rpc as rpc
from infra.edge.errors import EdgeError
from infra.edge.jobs import clean_environment
from infra.edge.layout import private_folder
from infra.edge.supervisor_conf import Program, render
from infra.edge.supervisor_rpc import ProgramState, SupervisorGoneError
from infra.edge.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.edge.layout import RunFolder

DAEMON_S = 20.0
TAIL_LINES = 20
# EXITED is not among them: the supervisor itself starts such a program again at once.
GIVEN_UP = ("FATAL", "STOPPED", "BACKOFF")
MARGIN_S = 15.0  # beyond the programs' own time to stop


@dataclass(frozen=True, slots=True)
class Supervisor:
    """One supervisord and its folder.

    Attributes:
        folder: where its files are; nobody else's.
        root: working directory of the programs.
        python: the interpreter that runs supervisord and the programs.
    """

    folder: RunFolder
    root: Path
    python: Path

    @property
    def address(self) -> str:
        """What supervisord puts into each program's environment as SUPERVISOR_SERVER_URL."""
        return f"unix://{self.folder.socket}"

    def states(self) -> tuple[ProgramState, ...]:
        """The programs as they are; empty where supervisord is dead."""
        return rpc.states(self.folder.socket)

    def tail(self, program: str) -> list[str]:
        """What a program said last."""
        try:
            with self.folder.log(program).open(errors="replace") as lines:
                return [*deque((line.rstrip() for line in lines if line.strip()), maxlen=TAIL_LINES)]
        except OSError:
            return []

    def drift(self, programs: Sequence[Program]) -> str | None:
        """What is not as it should be, in a few words; None where all is well."""
        found = {state.name: state for state in self.states()}
        if not found:
            return "supervisord is not running"
        down = [f"{name} is {found[name].state}" for name in found if not found[name].up]
        down += [f"{program.name} is unknown" for program in programs if program.name not in found]
        if down:
            return ", ".join(down)
        return None if self._configured(programs) else "supervisord.conf is out of date"

    def converge(self, programs: Sequence[Program]) -> None:
        """Start what should run and doesn't, restart what changed, stop what is no longer wanted.

        Raises:
            EdgeError: supervisord can't be started or doesn't obey.
        """
        self._write(render(programs, self.folder, root=self.root, python=self.python))
        try:
            with rpc.connected(self.folder.socket, timeout_s=_patience(programs)) as supervisor:
                _reload(supervisor)
        except xmlrpc.client.Fault as exc:
            log = self.folder.log("supervisord")
            raise EdgeError(f"supervisord refuses: {exc.faultString}; see {log} and run the command again") from exc
        except SupervisorGoneError:
            self._sweep()
            self._daemon()

    def stop(self, programs: Sequence[Program]) -> None:
        """End every program and supervisord itself, then delete the folder; fine where nothing runs.

        Raises:
            EdgeError: something survives even SIGKILL.
        """
        with suppress(SupervisorGoneError), rpc.connected(self.folder.socket) as supervisor:
            daemon = psutil.Process(supervisor.getPID())
            supervisor.shutdown()
            until(lambda: not _alive(daemon), _patience(programs))
        self._sweep()
        socket = self.folder.socket
        socket.unlink(missing_ok=True)
        if socket.parent != self.folder.path:
            shutil.rmtree(socket.parent, ignore_errors=True)
        shutil.rmtree(self.folder.path, ignore_errors=True)

    def _configured(self, programs: Sequence[Program]) -> bool:
        try:
            current = self.folder.conf.read_text()
        except OSError:
            return False
        return current == render(programs, self.folder, root=self.root, python=self.python)

    def _write(self, text: str) -> None:
        for folder in (self.folder.path, self.folder.socket.parent, self.folder.logs):
            private_folder(folder)
        draft = self.folder.conf.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(text)
        draft.replace(self.folder.conf)

    def _daemon(self) -> None:
        done = subprocess.run(
            [str(self.python), "-m", "supervisor.supervisord", "-c", str(self.folder.conf)],
            cwd=self.root,
            env=clean_environment(self.python),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DAEMON_S,
            check=False,
        )
        if done.returncode or not until(lambda: bool(self.states()), DAEMON_S):
            said = (done.stderr or done.stdout).strip().splitlines() or ["it does not answer"]
            raise EdgeError(f"supervisord did not start: {said[-1]}; see {self.folder.log('supervisord')}")

    def _sweep(self) -> None:
        """End what a dead supervisord left behind: it marks its programs, and so their children, by its address."""
        _kill([*self._hung()])  # first, or it would start its programs again
        _kill([*self._orphans()])

    def _hung(self) -> Iterator[psutil.Process]:
        """A supervisord that does not answer; its files may be gone too, so its command line decides."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if {"supervisor.supervisord", str(self.folder.conf)} <= {*process.cmdline()}:
                    yield process

    def _orphans(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("SUPERVISOR_SERVER_URL") == self.address:
                    yield process


def _reload(supervisor: Any) -> None:  # noqa: ANN401 - a proxy has no type
    """Apply a changed supervisord.conf, as `supervisorctl update` does, and start again what was given up."""
    added, changed, removed = supervisor.reloadConfig()[0]
    for info in supervisor.getAllProcessInfo():
        name, state = info["name"], info["statename"]
        if name in {*changed, *removed} or state not in GIVEN_UP:
            continue
        if state == "BACKOFF":
            supervisor.stopProcess(name)
        supervisor.startProcess(name, False)  # noqa: FBT003 - XML-RPC has no keywords: wait=False
    for name in (*removed, *changed):
        supervisor.stopProcessGroup(name)
        supervisor.removeProcessGroup(name)
    for name in (*changed, *added):
        supervisor.addProcessGroup(name)


def _patience(programs: Sequence[Program]) -> float:
    return sum(program.stop_wait_s for program in programs) + MARGIN_S


def _alive(process: psutil.Process) -> bool:
    # Where the host's init reaps nobody (containers), an ended orphan stays as a zombie.
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if not until(lambda: not any(_alive(process) for process in processes), MARGIN_S):
        left = ", ".join(f"pid {process.pid}" for process in processes if _alive(process))
        raise EdgeError(f"{left} survives SIGKILL; end it by hand and run the command again")
