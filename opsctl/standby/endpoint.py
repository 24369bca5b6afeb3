"""The model endpoint as a part: one that sleeps by itself is left alone, another one is deleted and made again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsctl.aws.fleet import endpoint_instances
from opsctl.aws.limits import endpoint_state
from opsctl.endpoint.open import opened
from opsctl.endpoint.run import Options
from opsctl.errors import CheckFailed
from opsctl.standby.part import Look

if TYPE_CHECKING:
    from rich.console import Console

    from opsctl.endpoint.open import StackTarget
    from opsctl.endpoint.ports import Document
    from opsctl.endpoint.run import Report


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """Port `opsctl.standby.part.Part`; consent was given for all parts before.

    Attributes:
        marker: remembers that a pause deleted it: one that nobody deployed is not made by a resume.
    """

    target: StackTarget
    marker: Document
    talk: Console
    limit_s: float
    name: str = "model endpoint"

    @property
    def _called(self) -> str:
        return str(self.target.cfg.generation.endpoint)

    def look(self) -> Look | None:
        """Its status and instances.

        Raises:
            CloudRefused, TimedOut
        """
        asked = self.target.cfg.generation
        status = endpoint_state(self.target.region, self._called)
        whole = f"{max(1, asked.scaling.min)} x {asked.instance_type}"
        if not status:
            return Look("deleted by a pause", rests=True, awake=whole) if self._marked() else None
        now = f"{status}, {endpoint_instances(self.target.region, self._called)} instances"
        if asked.scaling.min == 0:
            return Look(f"{now}; it sleeps by itself while nobody asks", rests=True, awake=now, stays=True)
        return Look(now, rests=False, awake=whole, half=self._marked())

    def rest(self) -> None:
        """Delete it: a fixed fleet has no smaller size. Its weights and its config stay."""
        with opened(self.target, self._called, Options(limit_s=self.limit_s), self.talk, yes=True) as run:
            self._mark(paused=True)
            self._held(run.delete())

    def wake(self) -> None:
        """Make it as the config says; one that sleeps by itself is there already."""
        if not self._marked():
            return
        spec = self.target.spec(None, None)
        with opened(self.target, spec.endpoint, Options(limit_s=self.limit_s), self.talk, yes=True) as run:
            self._held(run.deploy(spec))
        self._mark(paused=False)

    def _marked(self) -> bool:
        found = self.marker.read()
        return found is not None and bool(json.loads(found.text)["paused"])

    def _mark(self, *, paused: bool) -> None:
        found = self.marker.read()
        self.marker.write(json.dumps({"paused": paused}), None if found is None else found.version)

    def _held(self, report: Report) -> None:
        if report.error is not None:
            raise report.error
        if report.pending:
            raise CheckFailed(f"endpoint '{self._called}' has steps left", next_step="run the same command again")
