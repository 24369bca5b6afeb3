"""The container's log lines as they come, each once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# CloudWatch shows lines of several streams late and out of order: each look goes back this far.
OVERLAP_MS = 30_000


@dataclass(frozen=True, slots=True)
class Line:
    """A log line; `id` is CloudWatch's own."""

    id: str
    at_ms: int
    stream: str
    text: str

    @property
    def at(self) -> str:
        """When it was written, in UTC."""
        return datetime.fromtimestamp(self.at_ms / 1000, UTC).isoformat(timespec="milliseconds")


class Source(Protocol):
    """Where lines are."""

    def since(self, start_ms: int) -> list[Line]:
        """Lines since a time, oldest first."""


def lines(
    source: Source, start_ms: int, *, follow: bool, poll_s: float = 2.0, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Line]:
    """Lines since `start_ms`; with `follow` for ever."""
    seen: dict[str, int] = {}
    while True:
        for line in source.since(start_ms):
            if line.id not in seen:
                seen[line.id] = line.at_ms
                yield line
        if not follow:
            return
        start_ms = max(start_ms, max(seen.values(), default=0) - OVERLAP_MS)
        seen = {each: at_ms for each, at_ms in seen.items() if at_ms >= start_ms}
        sleep(poll_s)
