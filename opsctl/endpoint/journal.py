"""The journal of an endpoint: which releases ran, what is being attempted, and who holds the lock. Pure.

Lock and journal are one document in the stack's bucket, so that whoever lost the lock can't write the journal either.
A run that was killed needs no list of its steps to go on: what is there is observed, and the plan is made anew.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from opsctl.endpoint import stored
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from opsctl.endpoint.spec import EndpointSpec

Action = Literal["deploy", "rollback", "delete"]
KEPT_RELEASES = 2
VERSION = 1


@dataclass(frozen=True, slots=True)
class Holder:
    """Who works on the endpoint.

    Attributes:
        token: of this run, so that it knows its own writing.
        started: when the process began, since process numbers are used again.
    """

    token: str
    by: str
    host: str
    pid: int
    started: float
    since: str


@dataclass(frozen=True, slots=True)
class Release:
    """A spec that ran, and proved to."""

    spec: EndpointSpec
    at: str
    by: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """Work that was begun and has not ended; `spec` is None where the endpoint is being deleted."""

    action: Action
    spec: EndpointSpec | None
    at: str
    by: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Journal:
    """All that is remembered of an endpoint.

    Attributes:
        releases: newest first; the first one is the last good one.
        failure: why the newest attempt was given up.
        beats: how often the lock was renewed.
    """

    releases: tuple[Release, ...] = ()
    attempt: Attempt | None = None
    holder: Holder | None = None
    failure: str | None = None
    beats: int = 0

    @property
    def last_good(self) -> EndpointSpec | None:
        """What ran last, and proved to."""
        return self.releases[0].spec if self.releases else None

    def earlier_than(self, spec: EndpointSpec) -> tuple[EndpointSpec, ...]:
        """The release that a rollback from `spec` would go to."""
        return tuple(each.spec for each in self.releases if each.spec != spec)[: KEPT_RELEASES - 1]

    def begun(self, action: Action, spec: EndpointSpec | None, holder: Holder, steps: tuple[str, ...]) -> Journal:
        """Work on `spec` begins."""
        attempt = Attempt(action, spec, holder.since, holder.by, steps)
        return replace(self, attempt=attempt, holder=holder, failure=None)

    def ended(self) -> Journal:
        """The attempt reached what it was for: its spec runs, or nothing is left."""
        if self.attempt is None or self.attempt.spec is None:
            return Journal()
        spec = self.attempt.spec
        older = tuple(each for each in self.releases if each.spec != spec)
        releases = (Release(spec, now(), self.attempt.by), *older)[:KEPT_RELEASES]
        return replace(self, releases=releases, attempt=None, holder=None, failure=None)

    def failed(self, why: str) -> Journal:
        """The attempt was taken back."""
        return replace(self, attempt=None, holder=None, failure=why)

    def interrupted(self) -> Journal:
        """The attempt is left as it is, for whoever resumes it."""
        return replace(self, holder=None)


def now() -> str:
    """The time, as the journal writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def spell(journal: Journal) -> str:
    """The document in the bucket."""
    document = asdict(journal)
    document["releases"] = [asdict(each) | {"spec": stored.spell(each.spec)} for each in journal.releases]
    if journal.attempt is not None and journal.attempt.spec is not None:
        document["attempt"]["spec"] = stored.spell(journal.attempt.spec)
    return json.dumps({"version": VERSION, **document}, indent=1)


def read(text: str, where: str) -> Journal:
    """The journal that `spell` spelled.

    Raises:
        NotUsable: it isn't one.
    """
    try:
        return _journal(json.loads(text))
    except (ValueError, TypeError, LookupError, AttributeError) as exc:
        raise NotUsable(
            f"the journal {where} can't be read: {exc}",
            next_step="use the opsctl that wrote it, or move it away: only the releases are forgotten",
        ) from exc


def _journal(document: dict[str, Any]) -> Journal:
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']}, not {VERSION}")
    attempt, holder = document["attempt"], document["holder"]
    return Journal(
        releases=tuple(Release(stored.read(each["spec"]), each["at"], each["by"]) for each in document["releases"]),
        attempt=None if attempt is None else _attempt(attempt),
        holder=None if holder is None else Holder(**holder),
        failure=document["failure"],
        beats=document["beats"],
    )


def _attempt(document: dict[str, Any]) -> Attempt:
    spec = None if document["spec"] is None else stored.read(document["spec"])
    return Attempt(document["action"], spec, document["at"], document["by"], tuple(document["steps"]))
