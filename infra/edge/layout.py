"""Where an edge keeps its files: names, and folders that are nobody else's.

.edge/<stack>/bundle-<token>/   one folder for each EdgeBundle
.edge/<stack>/run/              supervisord.conf, its pid and socket, logs/
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import infra
from infra.edge.errors import EdgeError

# sun_path holds 108 bytes on Linux, 104 on macOS; supervisord first binds `<socket>.<pid>`.
SOCKET_PATH_LIMIT = 90


def project_root() -> Path:
    """The checkout that this code runs from; relative paths in resource inputs start here."""
    return Path(infra.__file__).resolve().parent.parent


def interpreter() -> Path:
    """This environment's Python under one name, whether it was started as python, python3 or python3.11."""
    return Path(sys.prefix, "bin", "python")


def stack_home(stack: str) -> str:
    """The edge folder of a stack, relative to the project root."""
    return f".edge/{stack}"


def host_home(stack: str) -> str:
    """The same on a host behind SSH, below the login's home."""
    return f".rag-platform/{stack}"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The supervisor's folder; `path` is absolute."""

    path: Path

    @property
    def conf(self) -> Path:
        """What supervisord is told."""
        return self.path / "supervisord.conf"

    @property
    def pid(self) -> Path:
        """The pid of supervisord, written by itself."""
        return self.path / "supervisord.pid"

    @property
    def logs(self) -> Path:
        """One rotated log per program, and supervisord's own."""
        return self.path / "logs"

    def log(self, program: str) -> Path:
        """Where stdout and stderr of `program` go."""
        return self.logs / f"{program}.log"

    @property
    def socket(self) -> Path:
        """Beside the rest, unless the path is too long for a unix socket: then in a private folder under /tmp."""
        near = self.path / "supervisor.sock"
        if len(os.fsencode(near)) <= SOCKET_PATH_LIMIT:
            return near
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        # Not tempfile.gettempdir(): TMPDIR differs between the shell that starts the edge and the one that stops it.
        return Path(f"/tmp/rag-edge-{os.getuid()}-{digest}/s")  # noqa: S108 - its folder is 0700 and its owner is checked


def private_folder(folder: Path) -> None:
    """Make sure that nobody else can put a socket where ours is expected (the folder may be under /tmp).

    Raises:
        EdgeError: it is somebody else's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise EdgeError(f"{folder} belongs to another user; remove it")


def remove_if_empty(home: Path) -> None:
    """Remove a stack's edge folder, and the folder of all of them, once nothing is left in it."""
    for folder in (home, home.parent):
        with suppress(OSError):
            folder.rmdir()
