"""Files brought to a host: only what is not there, only where there is room, and on from where a copy stopped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.edge.errors import EdgeError
from infra.edge.hosts.facts import Facts
from infra.edge.hosts.transport import Draft, Transport, put, sha256_of

ROOM_BYTES = 256 * 1024**2  # left over for logs and for the system
MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Item:
    """A file of this machine and its place below the stack's folder on the host."""

    source: Path
    target: str

    @property
    def size(self) -> int:
        """In bytes."""
        return self.source.stat().st_size


def missing(items: Sequence[Item], facts: Facts) -> tuple[Item, ...]:
    """What the host doesn't have; a name follows its content, so the size tells the rest."""
    return tuple(item for item in items if facts.files.get(item.target) != item.size)


def require_room(host: str, items: Sequence[Item], unpacked_bytes: int, facts: Facts) -> None:
    """Raise an EdgeError where the host's disk can't hold what is to come."""
    needed = sum(item.size for item in items) + unpacked_bytes + ROOM_BYTES
    if needed > facts.free:
        raise EdgeError(
            f"edge host {host}: {needed // MIB} MiB are needed at {facts.base} and {facts.free // MIB} MiB are free; "
            "free some space there and run the command again"
        )


def copy(transport: Transport, items: Sequence[Item], facts: Facts) -> None:
    """Bring `items` there, each whole or not at all.

    Raises:
        EdgeError: as of `put`.
    """
    if not items:
        return
    total = sum(item.size for item in items) / MIB
    sys.stderr.write(f"edge host {transport.host}: copying {len(items)} files, {total:.0f} MiB\n")
    for item in items:
        target = f"{facts.base}/{item.target}"
        put(transport, item.source, target, sha256=sha256_of(item.source), begun=_begun(item, facts))


def _begun(item: Item, facts: Facts) -> Draft | None:
    drafts = [(size, name) for name, size in facts.files.items() if name.startswith(f"{item.target}.part-")]
    size, name = max(drafts, default=(0, ""))
    return Draft(f"{facts.base}/{name}", size) if name else None
