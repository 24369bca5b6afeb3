"""Bring a failed endpoint back to its last good release: once, then call a person.

It runs the planner that operators run, on the spec that the journal remembers. It never touches an endpoint that
somebody works on, nor a change that somebody left unfinished: which way to go from there is a person's decision.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from opsctl.endpoint.lock import Held
from opsctl.endpoint.ports import Conflict
from opsctl.endpoint.resources import config_name
from opsctl.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.endpoint.ports import Document
    from opsctl.endpoint.run import EndpointRun, Report
    from opsctl.endpoint.spec import EndpointSpec

ONCE_IN = timedelta(hours=24)
LOOK = "see `opsctl endpoint status` and `opsctl endpoint logs`"
FINISH = "`opsctl deploy-endpoint` goes on from there, `opsctl endpoint rollback` goes back"

Outcome = Literal["restarted", "left alone", "paged"]


@dataclass(frozen=True, slots=True)
class Restart:
    """One call of the function.

    Attributes:
        run: on the endpoint, with the rights and the time that this call has.
        marker: remembers the last restart; written before the work, so that of two calls one works.
        page: tells a person: a subject, and what happened.
    """

    run: EndpointRun
    marker: Document
    page: Callable[[str, str], None]

    def __call__(self, why: str) -> Outcome:
        """Restart, unless it was done before or isn't ours to do; `why` is what raised the alarm."""
        name = self.run.names.endpoint
        try:
            journal = self.run.lock.read()
        except Held:
            return "left alone"
        if journal.last_good is None:
            return "left alone"
        if journal.attempt is not None:
            return self._paged("not restarted", f"{why}\nA change of endpoint '{name}' was left unfinished; {FINISH}")
        if (before := self._restarted_before(journal.last_good)) is not None:
            text = f"{why}\nEndpoint '{name}' was restarted at {before} and fails again; {LOOK}"
            return self._paged("fails again", text)
        if not self._claimed(journal.last_good):
            return "left alone"
        return self._told(self.run.deploy(journal.last_good), why)

    def _told(self, report: Report, why: str) -> Outcome:
        name = self.run.names.endpoint
        if isinstance(report.error, TimedOut):
            return self._paged("still starting", f"{why}\n{report.error.problem}; {FINISH}")
        if report.error is not None:
            return self._paged("not restarted", f"{why}\nEndpoint '{name}' can't be restarted: {report.error}")
        if not report.changed:
            return self._paged("needs a look", f"{why}\nEndpoint '{name}' is as it was released; {LOOK}")
        self.page(f"{name}: restarted", f"{why}\nEndpoint '{name}' runs its last good release again.")
        return "restarted"

    def _paged(self, what: str, text: str) -> Outcome:
        self.page(f"{self.run.names.endpoint}: {what}", text)
        return "paged"

    def _restarted_before(self, spec: EndpointSpec) -> str | None:
        """When this release was restarted within the last day."""
        found = self.marker.read()
        if found is None:
            return None
        said = json.loads(found.text)
        fresh = datetime.now(UTC) - datetime.fromisoformat(said["at"]) < ONCE_IN
        return str(said["at"]) if fresh and said["config"] == config_name(spec) else None

    def _claimed(self, spec: EndpointSpec) -> bool:
        found = self.marker.read()
        said = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "config": config_name(spec)}
        try:
            self.marker.write(json.dumps(said), None if found is None else found.version)
        except Conflict:
            return False
        return True
