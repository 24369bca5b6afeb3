"""What a started job is to its watcher, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opsctl.follow import Source


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended.

    Attributes:
        code: of its process; None where there was none, since the platform could not start it.
        why: in the platform's words, where it has any.
    """

    code: int | None
    why: str | None = None


class Job(Protocol):
    """One run."""

    @property
    def name(self) -> str:
        """By which the platform knows it."""

    @property
    def lines(self) -> Source:
        """What it says."""

    @property
    def again(self) -> str:
        """The command that looks at it later, or ends it."""

    def ended(self) -> Ended | None:
        """How it ended; None while it runs.

        Raises:
            CloudRefused, TimedOut
        """
