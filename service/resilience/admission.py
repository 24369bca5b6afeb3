"""A bound on the requests in flight, with no queue: what is beyond it is refused at once and may come again.

A queue would only make every answer late; the place to wait is the client, who knows how long it wants to.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.errors import Overloaded

if TYPE_CHECKING:
    from service.settings import Settings

RETRY_AFTER_S = 1.0
OWN_FILES = 24  # descriptors of the process itself: standard streams, event loop, listeners, models
FILES_PER_REQUEST = 2  # the client's connection and one upstream


class Admission:
    """Counts the places that are taken; one per app."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for the block.

        Raises:
            Overloaded: all are taken.
        """
        if self.taken >= self.limit:
            raise Overloaded(
                f"{self.limit} requests are in flight, which is all that this process takes",
                retry_after_s=RETRY_AFTER_S,
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


def limit_of(settings: Settings) -> int:
    """What the operator set, else what the model's connections and the process's descriptors carry."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return settings.max_in_flight or places(connections=settings.http_connections, files=files)


def places(*, connections: int, files: int) -> int:
    """How many requests may be in flight: twice what the model's pool carries at once, or what descriptors allow."""
    return max(1, min(2 * connections, (files - OWN_FILES) // FILES_PER_REQUEST))
