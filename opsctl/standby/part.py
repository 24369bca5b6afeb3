"""What of a stack can rest, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Look:
    """A part as it is now.

    Attributes:
        now: in words, e.g. `2 tasks`.
        rests: whether it is at rest already.
        awake: what it is once it is brought back.
        half: whether a pause or a resume began with it and did not end.
        stays: whether it is the same paused and resumed, and only told of.
    """

    now: str
    rests: bool
    awake: str
    half: bool = False
    stays: bool = False


class Part(Protocol):
    """One part. `rest` and `wake` may be called again after an interruption: what is done is left alone."""

    @property
    def name(self) -> str:
        """In a table."""

    def look(self) -> Look | None:
        """As it is now; None where there is no such thing.

        Raises:
            CloudRefused, TimedOut
        """

    def rest(self) -> None:
        """To nothing, or as near to it as it goes."""

    def wake(self) -> None:
        """To what the stack promises."""
