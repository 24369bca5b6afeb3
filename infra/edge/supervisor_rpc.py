"""The running supervisord, asked over its unix socket (XML-RPC, http://supervisord.org/api.html)."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANSWER_S = 10.0
# STARTING is what a program is in for a moment after the supervisor brought it back.
UP = ("RUNNING", "STARTING")


@dataclass(frozen=True, slots=True)
class ProgramState:
    """One program as the supervisor sees it; `state` in its own words, `pid` 0 where none runs."""

    name: str
    state: str
    pid: int

    @property
    def up(self) -> bool:
        """Whether it serves, or is about to."""
        return self.state in UP


class SupervisorGoneError(Exception):
    """Nobody answers at the socket."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Transport(xmlrpc.client.Transport):
    """Like supervisor's own transport, but a supervisord that hangs can't hang its caller."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__()
        self._path = path
        self._timeout_s = timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ANN401 - the base class's type
        if self._connection[0] != host or self._connection[1] is None:
            self._connection = host, _Connection(self._path, self._timeout_s)
        connection = self._connection[1]
        assert connection is not None  # noqa: S101 - set above
        return connection


@contextmanager
def connected(path: Path, *, timeout_s: float | None = None) -> Iterator[Any]:
    """The supervisor behind the socket at `path`; every call is bounded by `timeout_s`, default ANSWER_S.

    Raises:
        SupervisorGoneError: it doesn't answer.
    """
    transport = _Transport(path, timeout_s or ANSWER_S)
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
            yield proxy.supervisor
    except (OSError, http.client.HTTPException) as exc:
        raise SupervisorGoneError(f"{path}: {exc}") from exc


def states(path: Path) -> tuple[ProgramState, ...]:
    """Every program of the supervisor at `path`; empty where nobody answers or it is shutting down."""
    try:
        with connected(path) as supervisor:
            found = supervisor.getAllProcessInfo()
    except (SupervisorGoneError, xmlrpc.client.Fault):
        return ()
    return tuple(ProgramState(info["name"], info["statename"], info["pid"]) for info in found)
