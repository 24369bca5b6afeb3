"""A bound on the requests in flight, with no queue: what is beyond it is refused at once and may come again.

A queue would only make every answer late; the place to wait is the client, who knows how long it wants to.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Self

from service.errors import Overloaded

if TYPE_CHECKING:
    from service.settings import Settings

RETRY_AFTER_S = 1.0
PER_CONNECTION = 2  # requests in flight per connection to the model: one generates, one retrieves meanwhile
OWN_FILES = 24  # descriptors of the process itself: standard streams, event loop, listeners, models
FILES_PER_REQUEST = 3  # the client's connection, one upstream, and the connection of somebody who is refused meanwhile


class Admission:
    """Counts the places that are taken; one per app. `few_files` says that descriptors are what limits them."""

    def __init__(self, limit: int, *, few_files: bool = False) -> None:
        self.limit = limit
        self.few_files = few_files
        self.taken = 0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As many places as the model's connections and the process's descriptors carry, or the operator set."""
        carried = PER_CONNECTION * settings.http_connections
        files = places(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        return cls(settings.max_in_flight or min(carried, files), few_files=files < carried)

    def take(self) -> None:
        """Take a place, which is to be given back.

        Raises:
            Overloaded: all are taken.
        """
        if self.taken >= self.limit:
            raise Overloaded(
                f"{self.limit} requests are in flight, which is all that this process takes",
                retry_after_s=RETRY_AFTER_S,
            )
        self.taken += 1

    def give_back(self) -> None:
        """A request that had a place is over."""
        self.taken -= 1


def places(files: int) -> int:
    """How many requests may be in flight with so many descriptors."""
    return max(1, (files - OWN_FILES) // FILES_PER_REQUEST)
