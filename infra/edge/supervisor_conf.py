"""What supervisord is told, as a pure function: programs in, text of supervisord.conf out."""

from __future__ import annotations

import shlex
from configparser import RawConfigParser
from io import StringIO
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from infra.edge.errors import EdgeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from infra.edge.layout import RunFolder

LOG_BYTES, LOG_BACKUPS = "10MB", 3
# A program that ends within this time did not start; one that ends later is started again for ever.
START_S = 3
# supervisord waits 1, 2, 3 ... seconds between attempts: ten of them ride out most of a minute.
START_RETRIES = 10


class Program(BaseModel):
    """A Python program that the supervisor keeps up.

    Attributes:
        args: arguments of the interpreter, e.g. `-m service`.
        stop_wait_s: seconds between SIGTERM and SIGKILL, both to the whole process group.
        fix: what an operator changes when it does not start.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    args: tuple[str, ...]
    environment: dict[str, str] = {}
    stop_wait_s: int = 10
    fix: str


def render(programs: Iterable[Program], folder: RunFolder, *, root: Path, python: Path) -> str:
    """supervisord.conf; programs start in the given order and stop in the opposite one.

    Raises:
        EdgeError: a value that supervisord.conf has no spelling for.
    """
    conf = RawConfigParser(interpolation=None)
    conf["unix_http_server"] = {"file": _plain(folder.socket), "chmod": "0600"}
    conf["supervisord"] = {
        "logfile": _plain(folder.log("supervisord")),
        "logfile_maxbytes": LOG_BYTES,
        "logfile_backups": str(LOG_BACKUPS),
        "pidfile": _plain(folder.pid),
        "childlogdir": _plain(folder.logs),
        "directory": _plain(root),
        "umask": "077",
    }
    conf["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    conf["supervisorctl"] = {"serverurl": _plain(f"unix://{folder.socket}")}
    for priority, program in enumerate(programs, start=1):
        conf[f"program:{program.name}"] = _section(program, folder, priority=priority, root=root, python=python)
    text = StringIO()
    conf.write(text)
    return text.getvalue()


def _section(program: Program, folder: RunFolder, *, priority: int, root: Path, python: Path) -> dict[str, str]:
    pairs = (f"{name}={_quoted(name, value)}" for name, value in sorted(program.environment.items()))
    return {
        "command": _plain(shlex.join([str(python), *program.args])),
        "directory": _plain(root),
        "environment": ",".join(pairs),
        "priority": str(priority),
        "autorestart": "true",
        "startsecs": str(START_S),
        "startretries": str(START_RETRIES),
        "stopsignal": "TERM",
        "stopwaitsecs": str(program.stop_wait_s),
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _plain(folder.log(program.name)),
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": str(LOG_BACKUPS),
    }


def _quoted(name: str, value: str) -> str:
    # supervisord reads the pairs with a shlex that knows no escapes, then strips quotes of both kinds from both ends.
    if '"' in value or value != value.strip("'"):
        raise EdgeError(f"{name}: supervisord.conf can't hold a value with quotes: {value}; change it")
    return f'"{_plain(value)}"'


def _plain(value: str | Path) -> str:
    text = str(value)
    # " ;" and " #" start a comment, a line break ends the value, and nothing escapes them.
    if any(mark in text for mark in (" ;", " #", "\t;", "\t#", "\n", "\r")):
        raise EdgeError(f"supervisord.conf can't hold ' ;', ' #' or a line break: {text!r}; rename the folder or value")
    return text.replace("%", "%%")
