"""What was billed beside what was expected, by price; and what no line of the report explains."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.aws.billing import PAGE_USD
from opsctl.cost.offers import key_of
from opsctl.cost.refreshing import keys
from opsctl.cost.views import bill as views
from opsctl.cost.views.bill import exact
from opsctl.sheet import Bars, Column, Sheet, Usd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsctl.aws.billing import Billed
    from opsctl.cost.bills import Bill, Month
    from opsctl.cost.report import Report
    from opsctl.sheet import Cell

COLUMNS = (
    Column("price"),
    Column("estimate", figures=True),
    Column("billed", figures=True),
    Column("delta", figures=True),
    Column("likely cause"),
)
NEAR = Decimal("0.02")  # shares below which two figures are the same
CENT = Decimal("0.01")
# Cost Explorer names services for readers; the price list has codes.
CODES = {
    "Amazon Elastic Container Service": "AmazonECS",
    "Amazon Elastic Compute Cloud - Compute": "AmazonEC2",
    "EC2 - Other": "AmazonEC2",
    "Amazon Elastic Load Balancing": "AWSELB",
    "Amazon Virtual Private Cloud": "AmazonVPC",
    "Amazon Elastic Container Service for Kubernetes": "AmazonEKS",
    "Amazon SageMaker": "AmazonSageMaker",
    "AWS Lambda": "AWSLambda",
    "Amazon API Gateway": "AmazonApiGateway",
    "AmazonCloudWatch": "AmazonCloudWatch",
    "AWS Secrets Manager": "AWSSecretsManager",
    "AWS Key Management Service": "awskms",
    "AWS WAF": "awswaf",
    "Amazon EC2 Container Registry (ECR)": "AmazonECR",
    "Amazon Simple Storage Service": "AmazonS3",
    "Amazon ElastiCache": "AmazonElastiCache",
}


@dataclass(slots=True)
class _Sum:
    quantity: Decimal = Decimal()
    usd: Decimal = Decimal()

    def add(self, quantity: Decimal, usd: Decimal) -> None:
        self.quantity += quantity
        self.usd += usd

    @property
    def unit_usd(self) -> Decimal:
        return self.usd / self.quantity if self.quantity else Decimal()


def sheet(report: Report, bill: Bill, of: Month, *, tag_active: bool) -> Sheet:
    """One row for each price that either side knows, the largest delta first."""
    expected, (paid, unmapped) = _expected(report), _paid(bill.own)
    rows = [(key, expected.get(key), paid.get(key)) for key in dict.fromkeys([*expected, *paid])]
    rows.sort(key=lambda row: -abs(_usd(row[2]) - _usd(row[1])))
    untagged = sum((row.amortized_usd for row in bill.untagged), Decimal())
    strangers = sum(unmapped.values(), Decimal())
    estimate, billed = sum(map(_usd, expected.values()), Decimal()), sum(map(_usd, paid.values()), strangers)
    return Sheet(
        title=f"stack {report.stack} in {of}, {of.hours} hours: estimate and bill, USD, amortised",
        columns=COLUMNS,
        rows=(
            *(_row(*row) for row in rows),
            *(
                (f"unmapped: {name}", "", Usd(usd), Usd(usd), "no price of the catalog")
                for name, usd in unmapped.items()
            ),
        ),
        sums=(("total", Usd(estimate), Usd(billed), Usd(billed - estimate), ""),),
        notes=_notes(report, bill, of, untagged, tag_active=tag_active),
        document={
            "version": 1,
            "stack": report.stack,
            "month": str(of),
            "paidCalls": bill.pages,
            "lines": [
                {
                    "price": key,
                    "estimateUsd": exact(_usd(one)),
                    "billedUsd": exact(_usd(two)),
                    "cause": _cause(one, two),
                }
                for key, one, two in rows
            ],
            "unmapped": {name: exact(usd) for name, usd in unmapped.items()},
            "untaggedUsd": exact(untagged),
            "totals": {"estimateUsd": exact(estimate), "billedUsd": exact(billed)},
        },
        incomplete=report.incomplete,
        charts=(Bars("billed, USD", {key: _usd(two) for key, _, two in rows if _usd(two) > 0}),),
    )


def _expected(report: Report) -> dict[str, _Sum]:
    """The report's lines by price; vendors outside AWS have bills of their own."""
    sums: dict[str, _Sum] = {}
    for line in report.lines:
        component = line.component
        if component.quoted is None and not component.price_key.startswith(("openai.", "atlas.", "qdrant_cloud.")):
            sums.setdefault(component.price_key, _Sum()).add(component.quantity, line.usd or Decimal())
    return sums


def _paid(rows: Iterable[Billed]) -> tuple[dict[str, _Sum], dict[str, Decimal]]:
    """The bill by price, and the rows that belong to none."""
    sums: dict[str, _Sum] = {}
    unmapped: dict[str, Decimal] = {}
    known = keys()
    for row in rows:
        key = key_of(CODES.get(row.service, row.service), row.usage_type, known)
        key = key or key_of("AWSDataTransfer", row.usage_type, known)  # billed under whichever service sent it
        if key is None:
            name = f"{row.service} {row.usage_type}"
            unmapped[name] = unmapped.get(name, Decimal()) + row.amortized_usd
        else:
            sums.setdefault(key, _Sum()).add(row.quantity, row.amortized_usd)
    return sums, unmapped


def _row(key: str, expected: _Sum | None, paid: _Sum | None) -> tuple[Cell, ...]:
    delta = _usd(paid) - _usd(expected)
    return (
        key,
        Usd(expected.usd) if expected else "",
        Usd(paid.usd) if paid else "",
        Usd(delta),
        _cause(expected, paid),
    )


def _cause(expected: _Sum | None, paid: _Sum | None) -> str:
    """The factor that differs: not there at all, the quantity, or the price."""
    if expected is None or paid is None:
        return "not in the estimate" if expected is None else "not in the bill"
    if abs(paid.usd - expected.usd) < CENT:
        return ""
    found = []
    if not _near(paid.quantity, expected.quantity):
        found.append(f"quantity {paid.quantity:,.2f} instead of {expected.quantity:,.2f}")
    if not _near(paid.unit_usd, expected.unit_usd):
        found.append(f"price {paid.unit_usd:f} instead of {expected.unit_usd:f}: a commitment, a free tier, or stale")
    return "; ".join(found)


def _near(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= NEAR * max(abs(one), abs(other))


def _usd(found: _Sum | None) -> Decimal:
    return found.usd if found else Decimal()


def _notes(report: Report, bill: Bill, of: Month, untagged: Decimal, *, tag_active: bool) -> tuple[str, ...]:
    spent = f"{bill.pages} paid calls of Cost Explorer, {bill.pages * PAGE_USD} USD" if bill.pages else "from the cache"
    notes = [spent, f"without the tag `stack` in the account: {Usd(untagged)}"]
    if not tag_active:
        notes.append(
            "warning: the tag `stack` is not active, so the bill can't be split by it: run `aws ce "
            "update-cost-allocation-tags-status --cost-allocation-tags-status TagKey=stack,Status=Active` in the "
            "management account; it shows after about a day"
        )
    if not of.closed:
        notes.append("the month is not settled: the last charges arrive some days later")
    return (*notes, *views.notes(report))
