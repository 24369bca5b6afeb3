"""Hosts behind real sshds on this machine, each with a host key and a home folder of its own.

Those of `Lan.add` listen on ports of loopback, which they all share; those of `Lan.isolate` have a network
namespace with a loopback of their own and no way out, and are reached by name through a ProxyCommand.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from infra.edge.hosts.address import Address, parse
from tests.real_processes import free_port, wait_until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
UNSHARE = shutil.which("unshare") or "unshare"
NSENTER = shutil.which("nsenter") or "nsenter"
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
            with suppress(psutil.NoSuchProcess):  # it ended by itself
                if child.name().startswith("sshd"):
                    child.send_signal(signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.process = None


@dataclass
class IsolatedHost:
    """A host without a network but its own loopback; its sshd is started for each connection."""

    name: str
    folder: Path
    holder: subprocess.Popen[bytes] = field(repr=False)
    enter: tuple[str, ...] = ()  # words before a command that is to run there

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def word(self) -> str:
        """As `hybrid.edge.hosts` names it."""
        return f"ssh://{USER}@{self.name}"

    @property
    def address(self) -> Address:
        return Address(self.name, USER)

    def stop(self) -> None:
        """Take the host off the network; what runs there runs on."""
        (self.folder / "off").touch()
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            if words and "[mux]" in words[-1]:  # connections that are shared would still lead there
                process.kill()

    def start(self) -> None:
        (self.folder / "off").unlink(missing_ok=True)


@dataclass(frozen=True)
class Lan:
    """Hosts, and the operator's ssh: the system's own, told by a wrapper where this operator's keys are."""

    folder: Path
    path: str
    hosts: list[SshHost] = field(default_factory=list)
    isolated: list[IsolatedHost] = field(default_factory=list)

    def add(self, name: str) -> SshHost:
        host = SshHost(self.folder / name, free_port())
        key = self._configure(host.folder, f"Port {host.port}\nListenAddress 127.0.0.1\n")
        self.hosts.append(host)
        host.start()
        self._know(f"[127.0.0.1]:{host.port}", key)
        return host

    def isolate(self, name: str) -> IsolatedHost:
        folder = self.folder / name
        key = self._configure(folder, "")
        alone = "-n" if os.getuid() == 0 else "-rn"
        up = "ip link set lo up && echo up && exec sleep infinity"
        holder = subprocess.Popen([UNSHARE, alone, "sh", "-c", up], stdout=subprocess.PIPE)
        assert holder.stdout
        assert holder.stdout.readline() == b"up\n"
        holder.stdout.close()
        user = () if os.getuid() == 0 else ("-U", "--preserve-credentials")
        enter = (NSENTER, "-t", str(holder.pid), "-n", *user)
        (folder / "dial").write_text(
            f"#!/bin/sh\ntest -e {folder}/off && echo 'no route to {name}' >&2 && exit 1\n"
            f"exec {' '.join(enter)} {SSHD} -i -f {folder}/sshd_config 2>>{folder}/sshd.log\n"
        )
        (folder / "dial").chmod(0o755)
        with (self.folder / "ssh_config").open("a") as config:
            config.write(f"Host {name}\n  ProxyCommand {folder}/dial\n")
        self._know(name, key)
        host = IsolatedHost(name, folder, holder, enter)
        self.isolated.append(host)
        return host

    def _know(self, name: str, key: str) -> None:
        with (self.folder / "known_hosts").open("a") as known:
            known.write(f"{name} {key}\n")

    def _configure(self, host: Path, listen: str) -> str:
        """Files of a host; its public key."""
        for folder in (host, host / "home", host / "bin"):
            folder.mkdir()
        _keygen(host / "host_key")
        path = f"{host / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        (host / "sshd_config").write_text(
            listen
            + textwrap.dedent(f"""\
            HostKey {host}/host_key
            PidFile none
            AuthorizedKeysFile {self.folder}/key.pub
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            MaxStartups 100
            SetEnv HOME={host}/home PATH={path}
            """)
        )
        return " ".join((host / "host_key.pub").read_text().split()[:2])


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
        for isolated in found.isolated:
            isolated.stop()
            isolated.holder.kill()
            isolated.holder.wait()
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
