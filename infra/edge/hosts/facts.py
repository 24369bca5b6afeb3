"""What a host is, as it says itself, and whether an edge can run there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from infra.edge.errors import EdgeError
from infra.edge.hosts import bootstrap
from infra.edge.hosts.transport import Transport

# The newest that a host has; anything older than 3.11 still says what it is.
PYTHONS = "python3.14 python3.13 python3.12 python3.11 python3"
FIND = f"""for python in {PYTHONS}; do
  command -v "$python" >/dev/null 2>&1 && exec "$python" - "$1"
done
echo "it has no Python; install Python 3.11 or newer" >&2
exit 1
"""
OLDEST = (3, 11)
ARCHITECTURES = ("x86_64", "aarch64")


class Facts(BaseModel):
    """A host and what is there already.

    Attributes:
        base: the stack's folder there, absolute.
        free: bytes on its disk.
        manager: who keeps programs up.
        files: path below `base` -> size.
        folders: names of environments and code that are whole.
        root: the login is root, where systemd would start the programs as that.
    """

    model_config = ConfigDict(frozen=True)

    machine: str
    system: str
    python: str
    libc: tuple[str, str]
    base: str
    free: int
    manager: Literal["systemd", "supervisor"]
    files: dict[str, int]
    folders: tuple[str, ...]
    root: bool

    @property
    def minor(self) -> str:
        """Python's version as packages are built for it: 3.12."""
        return ".".join(self.python.split(".")[:2])


def look(transport: Transport, home: str) -> Facts:
    """Ask the host.

    Raises:
        EdgeError: an edge can't run there.
    """
    facts = Facts.model_validate(order(transport, "look", limit_s=60, home=home))
    if problem := unfit(facts):
        raise EdgeError(f"edge host {transport.host}: {problem}")
    return facts


def unfit(facts: Facts) -> str | None:
    """Why an edge can't run on a host."""
    if facts.system != "Linux" or facts.libc[0] != "glibc":
        return f"it is {facts.system} with {facts.libc[0] or 'another C library'}; an edge needs Linux with glibc"
    if facts.machine not in ARCHITECTURES:
        return f"its architecture is {facts.machine}; an edge needs {' or '.join(ARCHITECTURES)}"
    if facts.root:
        return (
            "its login is root; log in as a user of its own that may `sudo systemctl` (the service runs as the login)"
        )
    if tuple(int(part) for part in facts.minor.split(".")) < OLDEST:
        return f"its Python is {facts.python}; install Python 3.11 or newer beside it"
    return None


def order(transport: Transport, verb: str, *, limit_s: float, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Let the host's own Python do one thing of `bootstrap.py`.

    Raises:
        EdgeError: it failed; the line says why.
    """
    script = Path(bootstrap.__file__).read_bytes()
    words = ["sh", "-c", FIND, "bootstrap", json.dumps({"verb": verb, **arguments})]
    done = transport.run(words, stdin=script, limit_s=limit_s)
    if done.code:
        raise EdgeError(f"edge host {transport.host}: {done.last_words}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
