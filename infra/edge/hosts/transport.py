"""How a host is reached: commands, files and a forwarded port, nothing else.

Two implementations: this machine, and the system's OpenSSH. Who may log in where is OpenSSH's business: keys come from
the agent or from ssh_config, host keys must be known, and no password is ever asked for or kept.
"""

from __future__ import annotations

import hashlib
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from os import getuid
from pathlib import Path
from typing import IO, Any, Protocol

from infra.edge.errors import EdgeError, UnreachableError
from infra.edge.hosts.address import Address
from infra.edge.layout import private_folder

CONNECT_S = 15
COMMAND_S = 60.0
SLOWEST_BYTES_PER_S = 64 * 1024  # a copy that is slower than half a megabit is given up
SSH_FAILED = 255
LOOPBACK = "127.0.0.1"
OPTIONS = {
    "BatchMode": "yes",  # no question is asked: a password or an unknown host is an error
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": str(CONNECT_S),
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ClearAllForwardings": "yes",
}
# A file is filled under a name of this attempt alone, checked, and renamed. The draft of a copy that was cut is gone on
# with. Who made it may still be at it (a provider outlives a killed `pulumi`): it is copied, not appended to, and may
# be gone because that one has finished.
RECEIVE = """set -e
umask 077
whole() { printf '%s  %s\\n' "$sum" "$1" | sha256sum -c --status - 2>/dev/null; }
sum=$2
mkdir -p -- "$(dirname -- "$1")"
if [ -n "$4" ] && ! head -c "$5" -- "$4" > "$3" 2>/dev/null; then
  rm -f -- "$3"
  if whole "$1"; then exit 0; fi
  exit 66
fi
if [ -n "$4" ]; then rm -f -- "$4"; fi
cat >> "$3"
if ! whole "$3"; then
  rm -f -- "$3"
  if whole "$1"; then exit 0; fi
  echo "$1 arrived damaged and was removed; run the command again" >&2
  exit 1
fi
mv -f -- "$3" "$1" || whole "$1"
"""
GONE = 66  # EX_NOINPUT


@dataclass(frozen=True, slots=True)
class Draft:
    """What a copy that was cut left on the host, `size` bytes when it was looked at."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def last_words(self) -> str:
        """The last line that it complained with."""
        lines = self.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"exit code {self.code}"


class Transport(Protocol):
    """A host as `infra.edge.hosts` needs it."""

    @property
    def host(self) -> str:
        """How messages call it."""

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes | IO[bytes] = b"",
        limit_s: float = COMMAND_S,
        chatty: bool = False,
    ) -> Done:
        """Run a command to its end; with `chatty` its stderr goes straight to the operator.

        Raises:
            UnreachableError: the host can't be reached.
            EdgeError: it took longer than `limit_s`.
        """

    def attached(self, command: Sequence[str]) -> list[str]:
        """What to start here so that a command runs there with the operator's own terminal."""

    def forwarded(self, port: int, address: str = LOOPBACK) -> AbstractContextManager[int]:
        """A port of this machine that leads to `port` of the host's `address`, a loopback one."""


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """This machine."""

    host: str = "local"

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes | IO[bytes] = b"",
        limit_s: float = COMMAND_S,
        chatty: bool = False,
    ) -> Done:
        """As `Transport.run`."""
        return _run(self.host, command, stdin, limit_s, chatty=chatty)

    def attached(self, command: Sequence[str]) -> list[str]:
        """As `Transport.attached`."""
        return list(command)

    @contextmanager
    def forwarded(self, port: int, address: str = LOOPBACK) -> Iterator[int]:
        """As `Transport.forwarded`; there is no detour."""
        del address
        yield port


@dataclass(frozen=True, slots=True)
class SshTransport:
    """A host behind the system's OpenSSH; commands share one connection, which stays open for a minute."""

    address: Address

    @property
    def host(self) -> str:
        """As `Transport.host`."""
        return str(self.address)

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes | IO[bytes] = b"",
        limit_s: float = COMMAND_S,
        chatty: bool = False,
    ) -> Done:
        """As `Transport.run`."""
        words = [*self._ssh(), *_shared(), "-T", *self.address.destination, "--", shlex.join(command)]
        done = _run(self.host, words, stdin, limit_s, chatty=chatty)
        if done.code == SSH_FAILED:
            raise UnreachableError(
                f"edge host {self.host} can't be reached: {done.last_words}; try `{self.address.by_hand}`"
            )
        return done

    def attached(self, command: Sequence[str]) -> list[str]:
        """As `Transport.attached`; a terminal there only where there is one here."""
        terminal = "-t" if sys.stdin.isatty() else "-T"
        return [*self._ssh(), *_shared(), terminal, *self.address.destination, "--", shlex.join(command)]

    @contextmanager
    def forwarded(self, port: int, address: str = LOOPBACK) -> Iterator[int]:
        """As `Transport.forwarded`."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            near = int(probe.getsockname()[1])
        # A connection of its own: one that is shared would keep the port open after this process.
        ssh = self._ssh(ClearAllForwardings="no", ExitOnForwardFailure="yes", ControlPath="none")
        words = [*ssh, "-N", "-L", f"127.0.0.1:{near}:[{address}]:{port}", *self.address.destination]
        with subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as ssh_process:
            try:
                self._wait_forwarded(ssh_process, near)
                yield near
            finally:
                ssh_process.terminate()

    def _wait_forwarded(self, process: subprocess.Popen[bytes], port: int) -> None:
        until = time.monotonic() + CONNECT_S * 2
        while process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        process.terminate()
        said = Done(SSH_FAILED, b"", process.stderr.read() if process.stderr else b"").last_words
        raise UnreachableError(f"edge host {self.host} can't be reached: {said}; try `{self.address.by_hand}`")

    def _ssh(self, **changes: str) -> list[str]:
        binary = shutil.which("ssh")
        if binary is None:
            raise EdgeError(f"{self.host}: there is no `ssh` on this machine; install OpenSSH's client")
        return [binary, *(word for pair in (OPTIONS | changes).items() for word in ("-o", f"{pair[0]}={pair[1]}"))]


def put(transport: Transport, source: Path, target: str, *, sha256: str, begun: Draft | None = None) -> None:
    """Copy a file so that `target` is there whole or not at all; `begun` is gone on with.

    Raises:
        UnreachableError: as `Transport.run`; what arrived stays, for the next attempt.
        EdgeError: the host could not keep it, for example because its disk is full.
    """
    limit_s = COMMAND_S + source.stat().st_size / SLOWEST_BYTES_PER_S
    draft, size = f"{target}.part-{secrets.token_hex(4)}", min(begun.size, source.stat().st_size) if begun else 0
    words = ["receive", target, sha256, draft, begun.path if begun else "", str(size)]
    with source.open("rb") as content:
        content.seek(size)
        done = transport.run(["sh", "-c", RECEIVE, *words], stdin=content, limit_s=limit_s)
    if done.code == GONE:
        return put(transport, source, target, sha256=sha256)
    if done.code:
        raise EdgeError(f"edge host {transport.host}: {source.name} can't be copied: {done.last_words}")
    return None


def get(transport: Transport, source: str, target: Path) -> None:
    """Fetch a (small) file; `target` is replaced whole or not at all.

    Raises:
        EdgeError: the host doesn't have it.
    """
    done = transport.run(["cat", "--", source])
    if done.code:
        raise EdgeError(f"edge host {transport.host}: {done.last_words}")
    draft = target.with_name(f"{target.name}.part")
    draft.write_bytes(done.stdout)
    draft.replace(target)


def transport_to(address: Address | None) -> Transport:
    """The way to a host; None is this machine."""
    return SshTransport(address) if address else LocalTransport()


def _shared() -> list[str]:
    # Under /tmp because a socket's path is short (104 bytes); OpenSSH fills in 40 hex digits for %C.
    folder = Path(f"/tmp/rag-ssh-{getuid()}")  # noqa: S108 - 0700, and its owner is checked
    private_folder(folder)
    options = ("ControlMaster=auto", f"ControlPath={folder}/%C", "ControlPersist=60")
    return [word for option in options for word in ("-o", option)]


def _run(host: str, command: Sequence[str], stdin: bytes | IO[bytes], limit_s: float, *, chatty: bool) -> Done:
    source: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    stderr = None if chatty else subprocess.PIPE
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, timeout=limit_s, check=False, **source)
    except subprocess.TimeoutExpired as exc:
        raise EdgeError(
            f"edge host {host}: `{command[-1][:60]}` took more than {limit_s:g} s; run the command again"
        ) from exc
    return Done(done.returncode, done.stdout, done.stderr or b"")


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
