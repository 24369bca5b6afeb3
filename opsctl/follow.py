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


class Follower:
    """Asks a source again and again; hands out each line once."""

    def __init__(self, source: Source, start_ms: int) -> None:
        self._source, self._start_ms = source, start_ms
        self._seen: dict[str, int] = {}

    def new(self) -> Iterator[Line]:
        """Lines since `start_ms` that were not handed out yet."""
        for line in self._source.since(self._start_ms):
            if line.id not in self._seen:
                self._seen[line.id] = line.at_ms
                yield line
        self._start_ms = max(self._start_ms, max(self._seen.values(), default=0) - OVERLAP_MS)
        self._seen = {each: at_ms for each, at_ms in self._seen.items() if at_ms >= self._start_ms}


def lines(
    source: Source, start_ms: int, *, follow: bool, poll_s: float = 2.0, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Line]:
    """Lines since `start_ms`; with `follow` for ever."""
    follower = Follower(source, start_ms)
    while True:
        yield from follower.new()
        if not follow:
            return
        sleep(poll_s)
