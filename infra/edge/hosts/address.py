"""The address of an edge host, as `hybrid.edge.hosts` spells it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

LOCAL = "local"
_ADDRESS = re.compile(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<name>[^:@]+)(?::(?P<port>\d+))?")


@dataclass(frozen=True, slots=True)
class Address:
    """A host behind OpenSSH; what is None is left to the operator's ssh_config."""

    name: str
    user: str | None = None
    port: int | None = None

    @property
    def destination(self) -> tuple[str, ...]:
        """The words of an ssh command line that name the host."""
        port = ("-p", str(self.port)) if self.port else ()
        return (*port, f"{self.user}@{self.name}" if self.user else self.name)

    @property
    def by_hand(self) -> str:
        """The command that an operator tries."""
        return " ".join(("ssh", *self.destination))

    @property
    def slug(self) -> str:
        """Part of a resource name, different for different hosts."""
        words = (self.user, self.name, str(self.port) if self.port else None)
        return re.sub(r"[^a-z0-9-]", "-", "-".join(word for word in words if word).lower())

    def __str__(self) -> str:
        user, port = f"{self.user}@" if self.user else "", f":{self.port}" if self.port else ""
        return f"ssh://{user}{self.name}{port}"


def parse(host: str) -> Address | None:
    """An entry of `hybrid.edge.hosts` (its spelling was checked with the stack config); None is this machine."""
    if host == LOCAL:
        return None
    found = _ADDRESS.fullmatch(host)
    if found is None:
        raise ValueError(f"{host}: no ssh://[user@]host[:port]")
    return Address(found["name"], found["user"], int(found["port"]) if found["port"] else None)
