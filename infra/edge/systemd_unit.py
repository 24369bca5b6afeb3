"""What systemd is told of a program, as a pure function: a program in, the text of its unit out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.edge.errors import EdgeError

if TYPE_CHECKING:
    from pathlib import Path

    from infra.edge.supervisor_conf import Program

# What no program of an edge needs (systemd.exec(5)); it writes below the stack's folder and to its own /tmp alone.
HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
UMask=0077
"""


def unit(program: Program, *, stack: str, base: Path, root: Path, python: Path, user: str, mark: str) -> str:
    """The unit of one program of a stack's edge.

    It may write `base` alone, works in `root` and runs as `user`; `mark` is its SUPERVISOR_SERVER_URL, by which a
    port's holder is told from a stranger.

    Raises:
        EdgeError: a value that a unit has no spelling for.
    """
    environment = {"HOME": str(base), "LANG": "C.UTF-8", "SUPERVISOR_SERVER_URL": mark, **program.environment}
    told = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in sorted(environment.items()))
    command = " ".join(_quoted(word).replace("$", "$$") for word in (str(python), *program.args))
    return (
        f"[Unit]\nDescription=rag-platform edge {stack}: {program.name}\nAfter=network.target\n"
        "StartLimitIntervalSec=0\n\n"
        f"[Service]\nType=exec\nUser={user}\nWorkingDirectory={_plain(root)}\nExecStart={command}\n{told}"
        f"Restart=always\nRestartSec=1\nKillMode=mixed\nTimeoutStopSec={program.stop_wait_s}\n"
        f"{HARDENING}ReadWritePaths={_quoted(str(base))}\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )


def _quoted(word: str) -> str:
    text = _plain(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _plain(value: str | Path) -> str:
    text = str(value)
    if any(ord(letter) < ord(" ") for letter in text):
        raise EdgeError(f"a unit of systemd can't hold a control character: {text!r}; change the value")
    return text.replace("%", "%%")
