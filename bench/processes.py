"""Servers and load as processes of their own on loopback, and the virtual environments that some of them need.

A driver in the server's process, or in a client library's thread, would measure itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import psutil
from figures import Skipped

if TYPE_CHECKING:
    from typing import IO

PROJECT = Path(__file__).resolve().parents[1]
SCRATCH = PROJECT / ".tools" / "bench"
START_S = 120.0
STOP_S = 20.0
INSTALL_S = 900.0


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of the driver saw; latencies in the order of completion."""

    wall_s: float
    latencies_s: tuple[float, ...]

    @property
    def per_s(self) -> float:
        """Answered requests per second."""
        return len(self.latencies_s) / self.wall_s


def environ(**changes: str) -> dict[str, str]:
    """This process's environment, with compiled bytecode as an installed service has it."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return inherited | changes


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def venv(name: str) -> Path:
    """Python of a scratch environment made from `requirements/NAME.txt`, by hash; made again when that file changes.

    Raises:
        Skipped: it can't be installed, for want of a package index for example.
    """
    lock = PROJECT / "requirements" / f"{name}.txt"
    home = SCRATCH / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python = home / "bin" / "python"
    ready = home / ".ready"
    if not ready.exists():
        uv = Path(sys.executable).with_name("uv")
        install = [uv, "pip", "install", "--compile-bytecode", "--python", python, "--require-hashes", "-r", lock]
        for command in ([uv, "venv", "--clear", "--python", sys.executable, home], install):
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
            if done.returncode:
                raise Skipped(f"requirements/{name}.txt can't be installed: {done.stderr.strip().splitlines()[-1]}")
        ready.touch()
    return python


@contextmanager
def server(command: Sequence[str | Path], ready_url: str, env: Mapping[str, str]) -> Iterator[psutil.Process]:
    """A process that runs in the block, from the moment `ready_url` answers."""
    with TemporaryFile() as log:
        started = subprocess.Popen(command, env=env, cwd=PROJECT, stdout=log, stderr=subprocess.STDOUT)
        try:
            _await(ready_url, started, log)
            yield psutil.Process(started.pid)
        finally:
            started.terminate()
            try:
                started.wait(STOP_S)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait(STOP_S)


def fetch(url: str, timeout_s: float = 5.0) -> bytes:
    """GET on loopback, past any proxy."""
    with build_opener(ProxyHandler({})).open(url, timeout=timeout_s) as response:
        content: bytes = response.read()
    return content


def _await(url: str, started: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    ends = time.monotonic() + START_S
    while time.monotonic() < ends and started.poll() is None:
        try:
            fetch(url)
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    log.seek(0)
    tail = log.read().decode(errors="replace")[-2000:]
    raise RuntimeError(f"{started.args}: ended, or gave no answer on {url} within {START_S:g} s\n{tail}")


def drive(
    url: str,
    bodies: Sequence[object],
    *,
    clients: int,
    requests: int,
    accepted: Sequence[int] = (200,),
    limit_s: float = 120.0,
) -> Load:
    """POST `requests` bodies, taken in turn, from `clients` connections that each wait for their answer.

    Raises:
        RuntimeError: an answer's status was not `accepted`, or the whole took longer than `limit_s`.
    """
    job = {
        "url": url,
        "bodies": bodies,
        "clients": clients,
        "requests": requests,
        "accepted": accepted,
        "limitS": limit_s,
    }
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("driver.py")],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=limit_s + START_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{url}: {done.stderr.strip()[-2000:]}")
    seen = json.loads(done.stdout)
    return Load(seen["wallS"], tuple(seen["latenciesS"]))


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds, user and system, that a process has used so far."""
    times = process.cpu_times()
    return float(times.user + times.system)
