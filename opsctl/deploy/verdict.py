"""Whether what runs is what was asked for: pure, and told by the platform, never by the engine's word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from opsctl.stack import Release

Status = Literal["running", "settling", "rolled back"]


@dataclass(frozen=True, slots=True)
class Running:
    """What a platform says that it runs.

    Attributes:
        revision: of whatever carries the image; None where the platform has none.
        images: of the containers.
        state: of the newest rollout.
        reason: why the newest rollout was given up, where it was.
        wanted_replicas, ready_replicas: None where the platform doesn't count.
    """

    revision: str | None
    images: tuple[str, ...]
    state: Literal["settling", "done", "failed"]
    reason: str | None = None
    wanted_replicas: int | None = None
    ready_replicas: int | None = None

    @property
    def paused(self) -> bool:
        """Whether nothing is meant to run: `opsctl pause`."""
        return self.state == "done" and self.wanted_replicas == 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement, and what it rests on."""

    status: Status
    why: str


def judge(wanted: Release, running: Running) -> Verdict:
    """Compare what a deployment asked for with what runs.

    A rollout that goes on is settling, whatever it will end as; one that was given up is a rollback even where the
    platform keeps the name of the new revision.
    """
    counted = ""
    if running.wanted_replicas is not None:
        counted = f", {running.ready_replicas} of {running.wanted_replicas} replicas"
    if running.state == "settling":
        what = (
            "nothing is ready yet" if running.revision is None else f"the rollout of {_short(running.revision)} goes on"
        )
        return Verdict("settling", f"{what}{counted}")
    because = f": {running.reason.rstrip('.')}" if running.reason else ""
    if wanted.revision is not None and running.revision != wanted.revision:
        return Verdict("rolled back", f"{_short(running.revision)} runs, not {_short(wanted.revision)}{because}")
    if wanted.image is not None and running.images and wanted.image not in running.images:
        return Verdict("rolled back", f"{', '.join(running.images)} runs, not {wanted.image}{because}")
    if running.state == "failed":
        return Verdict("rolled back", f"the rollout of {_short(wanted.revision)} failed{because}")
    does = "is paused" if running.paused else "runs"
    return Verdict("running", f"{_short(running.revision)} {does}{counted}")


def _short(revision: str | None) -> str:
    """The part of an ARN that tells revisions apart."""
    return "nothing" if revision is None else revision.rpartition("/")[2].rpartition(":function:")[2]
