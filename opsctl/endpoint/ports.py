"""What the endpoint needs of a cloud: seen whole, changed one object at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from opsctl.errors import OpsctlError

if TYPE_CHECKING:
    from opsctl.endpoint.names import Names
    from opsctl.endpoint.resources import Key, Request, Resource
    from opsctl.endpoint.state import Part, State


class Cloud(Protocol):
    """Every call is repeatable: what is there already is not made again, what is gone is not missed."""

    def observe(self, names: Names) -> State:
        """All parts of the endpoint."""

    def look(self, key: Key) -> Part | None:
        """An endpoint or component as it is now; None if there is none."""

    def create(self, resource: Resource) -> None:
        """Make it."""

    def change(self, resource: Resource, how: Request) -> None:
        """Bring it to its request; `how` says in which manner, where the kind has one."""

    def remove(self, resource: Resource) -> None:
        """Delete it."""

    def last_words(self, key: Key) -> tuple[str, ...]:
        """The newest log lines of the containers of an endpoint or component."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document, the version of it, and the seconds since it was written, by the store's clock."""

    text: str
    version: str
    age_s: float


class Conflict(OpsctlError):
    """Somebody else wrote the document since it was read."""


class Document(Protocol):
    """One document that is written only on top of the version that was read."""

    def read(self) -> Stored | None:
        """The newest version; None if there is none."""

    def write(self, text: str, on: str | None) -> str:
        """Write on top of version `on`, None for the first; gives the new version.

        Raises:
            Conflict: that version is not the newest.
        """
