"""Whether what runs is what was asked for. Pure: SageMaker also says InService after it went back to the old config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from opsctl.endpoint.state import BROKEN, BUSY, differences

if TYPE_CHECKING:
    from opsctl.endpoint.resources import Resource
    from opsctl.endpoint.state import Part

Status = Literal["running", "settling", "rolled back", "failed", "stuck"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on an endpoint or component, and what it rests on.

    Attributes:
        status: `stuck` is an update that could neither be finished nor taken back.
    """

    status: Status
    why: str


def judge(asked: Resource, found: Part | None) -> Verdict:
    """Compare an endpoint or component with what was asked for."""
    label = f"{asked.kind} {asked.name}"
    if found is None:
        return Verdict("failed", f"{label} is gone")
    because = f": {found.reason.rstrip('.')}" if found.reason else ""
    if found.status in BUSY:
        return Verdict("settling", f"{label} is {found.status}")
    if found.status in BROKEN:
        return Verdict("failed", f"{label} failed{because}")
    if found.status != "InService":
        return Verdict("stuck", f"{label} is {found.status}{because}")
    unequal = differences(asked, found)
    if unequal:
        return Verdict("rolled back", f"SageMaker went back: {unequal[0]}{because}")
    return Verdict("running", f"{label} runs {_release(found)}")


def _release(found: Part) -> str:
    if found.kind == "endpoint":
        return str(found.request["EndpointConfigName"])
    return str(found.request["Specification"]["ModelName"])
