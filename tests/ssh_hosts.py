"""Real sshd processes on loopback, each a host of its own: own port, own host key, own home folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from infra.edge.hosts.address import Address, parse
from tests.real_processes import free_port, wait_until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
USER = pwd.getpwuid(os.getuid()).pw_name


@dataclass
class SshHost:
    """One sshd; `bin` comes first in the PATH of what is run there."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def word(self) -> str:
        """As `hybrid.edge.hosts` names it."""
        return f"ssh://{USER}@127.0.0.1:{self.port}"

    @property
    def address(self) -> Address:
        found = parse(self.word)
        assert found
        return found

    def start(self) -> None:
        assert SSHD, "no sshd: install openssh-server"
        log = (self.folder / "sshd.log").open("ab")
        command = [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._listens, within_s=30, what=f"sshd on {self.port}")

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Take the host off the network: the daemon and the connections that it serves."""
        if self.process is None:
            return
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if child.name().startswith("sshd"):
                child.send_signal(signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.process = None


@dataclass(frozen=True)
class Lan:
    """Hosts, and the operator's ssh: the system's own, told by a wrapper where this operator's keys are."""

    folder: Path
    path: str
    hosts: list[SshHost] = field(default_factory=list)

    def add(self, name: str) -> SshHost:
        host = SshHost(self.folder / name, free_port())
        for folder in (host.folder, host.home, host.bin):
            folder.mkdir()
        _keygen(host.folder / "host_key")
        path = f"{host.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        (host.folder / "sshd_config").write_text(
            textwrap.dedent(f"""\
            Port {host.port}
            ListenAddress 127.0.0.1
            HostKey {host.folder}/host_key
            PidFile none
            AuthorizedKeysFile {self.folder}/key.pub
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            MaxStartups 100
            SetEnv HOME={host.home} PATH={path}
            Subsystem sftp internal-sftp
            """)
        )
        self.hosts.append(host)
        host.start()
        _, kind, key = f"x {(host.folder / 'host_key.pub').read_text()}".split()[:3]
        with (self.folder / "known_hosts").open("a") as known:
            known.write(f"[127.0.0.1]:{host.port} {kind} {key}\n")
        return host


@contextmanager
def lan(folder: Path) -> Iterator[Lan]:
    """A folder with the operator's key, known hosts and ssh wrapper; every host that was added ends with it."""
    folder.mkdir(parents=True, exist_ok=True)
    _keygen(folder / "key")
    (folder / "known_hosts").touch()
    (folder / "ssh_config").write_text(
        f"Host *\n  IdentityFile {folder}/key\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n"
        "  GlobalKnownHostsFile none\n"
    )
    operator = folder / "operator"
    operator.mkdir()
    ssh = shutil.which("ssh")
    (operator / "ssh").write_text(f'#!/bin/sh\nexec {ssh} -F {folder}/ssh_config "$@"\n')
    (operator / "ssh").chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True) if os.getuid() == 0 else None  # sshd's empty folder; root's daemon wants it
    found = Lan(folder, str(operator))
    try:
        yield found
    finally:
        for host in found.hosts:
            host.stop()
        for process in processes_under(folder):
            process.kill()


def processes_under(folder: Path) -> list[psutil.Process]:
    """Everything that names a path under `folder`: sshds, shared connections, what runs on the hosts."""
    found = []
    for process in psutil.process_iter():
        try:
            words = (*process.cmdline(), process.cwd(), *process.environ().values())
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words) and "pytest" not in words[0:3]:
            found.append(process)
    return found


def _keygen(path: Path) -> None:
    binary = shutil.which("ssh-keygen")
    assert binary
    subprocess.run([binary, "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)
