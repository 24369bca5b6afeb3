"""Service jobs as processes: `infra` never imports the service, it starts it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from os import defpath
from pathlib import Path

from infra.edge.errors import EdgeError


def clean_environment(python: Path) -> dict[str, str]:
    """What an edge process may see of the operator's environment, which holds a passphrase and perhaps cloud keys."""
    return {"PATH": f"{python.parent}:{defpath}", "HOME": str(Path.home()), "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Jobs:
    """Runs `python -m service.jobs.<name>` in `root`."""

    root: Path
    python: Path

    def ask(self, name: str, *args: str, limit_s: float) -> str:
        """Run a quiet job to its end; its stdout.

        Raises:
            EdgeError: it failed or took too long; the last line of its stderr says why.
        """
        try:
            done = subprocess.run(
                self._command(name, args),
                cwd=self.root,
                env=clean_environment(self.python),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise EdgeError(f"service.jobs.{name} took more than {limit_s:g} s and was ended; run it again") from exc
        if done.returncode:
            raise _failure(name, done.returncode, done.stderr.splitlines())
        return done.stdout

    def follow(self, name: str, *args: str, limit_s: float) -> str:
        """Like `ask` for a long job: its stderr is passed on line by line, and Pulumi shows it as progress.

        Raises:
            EdgeError: as `ask`.
        """
        last: deque[str] = deque(maxlen=1)
        with subprocess.Popen(
            self._command(name, args),
            cwd=self.root,
            env=clean_environment(self.python),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            watchdog = threading.Timer(limit_s, process.kill)
            watchdog.start()
            try:
                for line in process.stderr or ():
                    sys.stderr.write(line)
                    last.extend([line] if line.strip() else [])
                answer, _ = process.communicate()
            finally:
                watchdog.cancel()
                process.kill()
        if process.returncode:
            raise _failure(name, process.returncode, [*last])
        return answer

    def _command(self, name: str, args: tuple[str, ...]) -> list[str]:
        return [str(self.python), "-m", f"service.jobs.{name}", *args]


def _failure(name: str, code: int, said: list[str]) -> EdgeError:
    lines = [line.strip() for line in said if line.strip()]
    return EdgeError(
        lines[-1] if lines else f"service.jobs.{name} ended with code {code} and said nothing; run it again"
    )
