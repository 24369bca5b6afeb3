"""How a run is watched: a live line on a terminal, one plain line per change in a pipe. Talk, so stderr."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.status import Status


@contextmanager
def watching(talk: Console) -> Iterator[Lines]:
    """Give what a run is watched by."""
    if not talk.is_terminal:
        yield Lines(talk)
        return
    with talk.status("looking at the endpoint") as status:
        yield Lines(talk, status)


@dataclass(slots=True)
class Lines:
    """Prints steps; shows waits in the live line where there is one, else when their state changes."""

    talk: Console
    live: Status | None = None
    _said: str = field(default="", init=False)

    def step(self, number: int, total: int, what: str) -> None:
        """A step begins."""
        self.talk.print(f"[{number}/{total}] {what}")

    def waiting(self, what: str, elapsed_s: float) -> None:
        """A slow step goes on."""
        minutes, seconds = divmod(int(elapsed_s), 60)
        if self.live is not None:
            self.live.update(f"{what}, {minutes}:{seconds:02d}")
        elif what != self._said:
            self.talk.print(f"{what}, after {minutes}:{seconds:02d}")
        self._said = what

    def note(self, text: str) -> None:
        """Something worth a line."""
        self.talk.print(text)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Without the live line, which would be drawn over a question."""
        if self.live is None:
            yield
            return
        self.live.stop()
        try:
            yield
        finally:
            self.live.start()
