"""What an alarm is: data, from which the components spell resources and the documentation its entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infra.components.observability.metrics import Math, Metric

Severity = Literal["pager", "notices", "part"]  # a part speaks through the composite alarm that names it
Missing = Literal["breaching", "notBreaching", "ignore", "missing"]
Comparison = Literal[">", ">=", "<", "<="]
COMPARISONS: dict[Comparison, str] = {
    ">": "GreaterThanThreshold",
    ">=": "GreaterThanOrEqualToThreshold",
    "<": "LessThanThreshold",
    "<=": "LessThanOrEqualToThreshold",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One metric, or a number made of several, against a threshold.

    Attributes:
        name: last part of the resource's name, and of the runbook's anchor.
        says: what is wrong, in a sentence.
        periods: how many are looked at, of which `datapoints` must be beyond the threshold.
        missing: what a period without data counts as.
        blocks: a deployment that sets it off is taken back.
        entry: of the runbook, where several alarms share one.
    """

    name: str
    severity: Severity
    says: str
    of: Metric | Math
    threshold: float
    comparison: Comparison = ">"
    periods: int = 3
    datapoints: int = 2
    missing: Missing = "notBreaching"
    blocks: bool = False
    entry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """Several alarms as one: `any` of them, or `all` at the same time."""

    name: str
    severity: Severity
    says: str
    parts: tuple[str, ...]
    when: Literal["any", "all"]


def anchor(alarm: Alarm | Composite) -> str:
    """Where the runbook's entry of an alarm is, as its heading's link."""
    shared = alarm.entry if isinstance(alarm, Alarm) else None
    return f"alarm-{shared or alarm.name}"


def described(alarm: Alarm | Composite, runbook: str) -> str:
    """The description that a person reads at 3 a.m."""
    return f"{alarm.says}. What to do: {runbook}#{anchor(alarm)}"
