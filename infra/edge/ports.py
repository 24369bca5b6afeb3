"""Whether a port can be had, and who has it."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from collections.abc import Iterable


class Listen(BaseModel):
    """An address that a program will listen on, and the config key that moves it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    key: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens on a port; `pid` is None where it belongs to somebody else."""

    pid: int | None
    name: str | None = None
    supervisor: str | None = None  # address of the supervisor that runs it

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.name})" if self.pid else "another user's process"


def conflicts(wanted: Iterable[Listen], *, ours: str) -> tuple[str, ...]:
    """One line for each address that can't be had; programs of the supervisor at `ours` don't count."""
    return tuple(line for listen in wanted if (line := _conflict(listen, ours)))


def _conflict(listen: Listen, ours: str) -> str | None:
    try:
        _bind(listen.host, listen.port)
    except OSError as exc:
        where = f"{listen.host}:{listen.port}"
        if exc.errno != errno.EADDRINUSE:
            return f"{where}: {exc.strerror}; change hybrid.edge.bind or {listen.key}"
        holder = _holder(listen.port)
        if holder.supervisor == ours:
            return None
        stop = f"stop it (kill {holder.pid})" if holder.pid else "stop it"
        free = f"`pulumi config set --path {listen.key} PORT`"
        return f"port {listen.port} ({listen.key}) is taken by {holder}; {stop} or choose another port: {free}"
    return None


def _bind(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        probe.bind((host, port))


def _holder(port: int) -> Holder:
    pids = {
        connection.pid
        for connection in psutil.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
    }
    for pid in sorted(pid for pid in pids if pid is not None):
        try:
            process = psutil.Process(pid)
            return Holder(pid, process.name(), process.environ().get("SUPERVISOR_SERVER_URL"))
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            return Holder(pid)
    return Holder(None)
