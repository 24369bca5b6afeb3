"""What work that can wait is made of: requests, how far a batch of them is, replies. No vendor type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

OVER = {"completed", "expired", "cancelled"}  # whatever was answered until then is there


@dataclass(frozen=True, slots=True)
class Request:
    """One completion; `id` comes back with its answer."""

    id: str
    system: str
    user: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is."""

    id: str
    status: str
    done: int
    total: int

    @property
    def over(self) -> bool:
        """Nothing more will come."""
        return self.status in OVER


@dataclass(frozen=True, slots=True)
class Reply:
    """A request's answer, or why there is none."""

    id: str
    text: str | None
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


class Batches(Protocol):
    """Batches of one account and one model."""

    model: str

    def line(self, request: Request) -> bytes:
        """A request as it is sent."""
        ...

    def submit(self, requests: Iterable[Request], mark: str) -> str:
        """Send a batch; its id."""
        ...

    def find(self, mark: str) -> str | None:
        """The batch that was sent with this mark."""
        ...

    def progress(self, batch: str) -> Progress:
        """How far it is; raises StageUnavailable where it failed as a whole, or is not known."""
        ...

    def replies(self, batch: str) -> Iterator[Reply]:
        """What came back; requests without a reply were not worked on."""
        ...
