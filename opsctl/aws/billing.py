"""Asks Cost Explorer what was billed. Each page of an answer costs money: callers say so before they call."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from opsctl.aws.session import client, translated

if TYPE_CHECKING:
    from datetime import date

HOME = "us-east-1"  # Cost Explorer's only region
PAGE_USD = Decimal("0.01")
SETTLED = ["Credit", "Refund", "Tax"]  # shown on the invoice, no use of anything


@dataclass(frozen=True, slots=True)
class Billed:
    """One usage type of one service in a period."""

    service: str
    usage_type: str
    quantity: Decimal
    unit: str
    amortized_usd: Decimal
    unblended_usd: Decimal


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows, and how many paid pages they took."""

    rows: tuple[Billed, ...]
    pages: int


def billed(begin: date, end: date, tag: str, value: str | None) -> Answer:
    """What was billed from `begin` to the day before `end` to resources whose `tag` is `value`; untagged ones if None.

    Raises:
        CloudRefused, TimedOut
    """
    tagged: dict[str, Any] = {"Key": tag, "Values": [value]} if value else {"Key": tag, "MatchOptions": ["ABSENT"]}
    usage = {"Not": {"Dimensions": {"Key": "RECORD_TYPE", "Values": SETTLED}}}
    request: dict[str, Any] = {
        "TimePeriod": {"Start": begin.isoformat(), "End": end.isoformat()},
        "Granularity": "MONTHLY",
        "Metrics": ["AmortizedCost", "UnblendedCost", "UsageQuantity"],
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "DIMENSION", "Key": "USAGE_TYPE"}],
        "Filter": {"And": [{"Tags": tagged}, usage]},
    }
    rows: list[Billed] = []
    pages = 0
    with translated("the bill in Cost Explorer"):
        explorer = client("ce", HOME)
        while True:
            answer = explorer.get_cost_and_usage(**request)
            pages += 1
            rows += [_row(group) for period in answer["ResultsByTime"] for group in period["Groups"]]
            if not (more := answer.get("NextPageToken")):
                return Answer(tuple(rows), pages)
            request["NextPageToken"] = more


def active_tags() -> frozenset[str]:
    """Tags that the bill is split by; a tag does nothing until it is activated.

    Raises:
        CloudRefused, TimedOut
    """
    with translated("the cost allocation tags"):
        found = client("ce", HOME).list_cost_allocation_tags(Status="Active")["CostAllocationTags"]
    return frozenset(each["TagKey"] for each in found)


def _row(group: dict[str, Any]) -> Billed:
    service, usage_type = group["Keys"]
    metrics = group["Metrics"]
    return Billed(
        service=service,
        usage_type=usage_type,
        quantity=Decimal(metrics["UsageQuantity"]["Amount"]),
        unit=metrics["UsageQuantity"].get("Unit", ""),
        amortized_usd=Decimal(metrics["AmortizedCost"]["Amount"]),
        unblended_usd=Decimal(metrics["UnblendedCost"]["Amount"]),
    )
