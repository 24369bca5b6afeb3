"""The lock of an endpoint: a lease inside its journal, renewed while the work goes on.

A lease ends by being given back, by being older than `LEASE_S` on the store's clock, or, on the holder's own machine,
at once when its process is gone. Whoever takes it over writes on top of the version that was read: one of two wins.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from opsctl.endpoint import journal as journals
from opsctl.endpoint.journal import Journal
from opsctl.endpoint.ports import Conflict, Document
from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.endpoint.journal import Holder

LEASE_S = 300.0  # longer than a call with all its retries takes


class Held(CheckFailed):
    """Somebody else works on the endpoint."""


@dataclass(slots=True)
class Lock:
    """The journal, and the right to write it.

    Attributes:
        where: the document's address, for messages.
        me: who this run is.
        gone: whether a holder is known to have ended.
    """

    document: Document
    where: str
    me: Holder
    gone: Callable[[Holder], bool]
    lease_s: float = LEASE_S
    _version: str | None = field(default=None, init=False)
    _written: float = field(default=0.0, init=False)
    _journal: Journal = field(default_factory=Journal, init=False)
    _taken: bool = field(default=False, init=False)

    def read(self) -> Journal:
        """The journal, if nobody works on it.

        Raises:
            Held: somebody does; says who and since when.
        """
        found = self.document.read()
        if found is None:
            self._version, self._journal = None, Journal()
            return self._journal
        self._version, self._journal = found.version, journals.read(found.text, self.where)
        holder = self._journal.holder
        if holder is not None and found.age_s < self.lease_s and not self.gone(holder):
            raise self._held(holder, self.lease_s - found.age_s)
        return self._journal

    def take(self, begun: Journal) -> None:
        """Write the journal with this run as its holder, on top of what `read` gave.

        Raises:
            Held: somebody else was faster.
        """
        self._write(begun)
        self._taken = True

    def beat(self) -> None:
        """Renew the lease, if this run has it and a third of it has passed.

        Raises:
            Held: somebody took it over; this run must stop.
        """
        if self._taken and time.monotonic() - self._written > self.lease_s / 3:
            self._write(replace(self._journal, beats=self._journal.beats + 1))

    def close(self, ended: Journal) -> None:
        """Write the journal and give the lease back."""
        self._write(replace(ended, holder=None))
        self._taken = False

    def _write(self, journal: Journal) -> None:
        text = journals.spell(journal)
        try:
            version = self.document.write(text, self._version)
        except Conflict:
            found = self.document.read()
            if found is None or found.text != text:  # an equal one is ours, written by a try whose answer was lost
                holder = None if found is None else journals.read(found.text, self.where).holder
                raise self._held(holder, self.lease_s) from None
            version = found.version
        self._version, self._journal, self._written = version, journal, time.monotonic()

    def _held(self, holder: Holder | None, left_s: float) -> Held:
        if holder is None:
            return Held(f"{self.where} was written by another run just now", next_step="run the same command again")
        return Held(
            f"{holder.by} (process {holder.pid}) has been working on this endpoint since {holder.since}",
            next_step=f"wait for it; if it is dead, its lock ends {left_s:.0f} s from now at the latest",
        )
