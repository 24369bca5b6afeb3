"""The bill beside the estimate: mapped by price, explained by quantity or price, read once, never paid unasked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from opsctl.aws import billing
from opsctl.aws.billing import Answer, Billed
from opsctl.aws.session import client
from opsctl.cost.bills import Bill, Bills, month
from opsctl.cost.offers import OFFERS
from opsctl.cost.views import actual
from opsctl.errors import NotUsable
from tests.unit.opsctl.conftest import Ended
from tests.unit.opsctl.cost.conftest import Priced

TODAY = dt.date(2026, 11, 26)
NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
OCTOBER = month("2026-10", TODAY)


def row(service: str, usage_type: str, quantity: str, usd: str) -> Billed:
    return Billed(service, usage_type, Decimal(quantity), "Hrs", Decimal(usd), Decimal(usd))


NAT = row("EC2 - Other", "USE1-NatGateway-Hours", "2190", "98.55")
HOST = row("Amazon SageMaker", "Host:ml.g5.2xlarge", "365", "552.975")
TASKS = row("Amazon Elastic Container Service", "Fargate-vCPU-Hours:perCPU", "2920", "59.10")
EGRESS = row("Amazon Elastic Load Balancing", "DataTransfer-Out-Bytes", "500", "45.00")
STRANGER = row("AWS Glue", "Crawler-DPU-Hour", "1", "0.44")


def compared(
    priced: Priced, *rows: Billed, untagged: tuple[Billed, ...] = (), tag_active: bool = True
) -> dict[str, Any]:
    report = priced("prod")
    sheet = actual.sheet(report, Bill(rows, untagged, pages=2), OCTOBER, tag_active=tag_active)
    return {**sheet.document, "notes": sheet.notes, "causes": {str(each[0]): each[4] for each in sheet.rows}}


def test_each_row_of_the_bill_stands_beside_its_estimate_with_the_likely_cause(priced: Priced) -> None:
    found = compared(priced, NAT, HOST, TASKS, EGRESS, STRANGER)
    causes = found["causes"]
    assert causes["nat.hour"] == ""
    assert causes["sagemaker.host.ml.g5.2xlarge.hour"] == "quantity 365.00 instead of 730.00"
    assert causes["fargate.x86.vcpu_hour"].startswith("price 0.0202")
    assert causes["egress.internet.gb"].startswith("quantity 500.00 instead of 0.06")
    assert causes["alb.hour"] == "not in the bill"
    assert found["unmapped"] == {"AWS Glue Crawler-DPU-Hour": "0.440000"}
    assert found["totals"]["billedUsd"] == "756.065000"


def test_a_vendors_bill_is_not_expected_from_aws(priced: Priced) -> None:
    assert not [each for each in compared(priced)["causes"] if each.startswith(("openai", "atlas", "qdrant"))]


def test_untagged_spend_and_an_inactive_tag_are_said_with_the_command(priced: Priced) -> None:
    found = compared(priced, untagged=(STRANGER, NAT), tag_active=False)
    assert found["untaggedUsd"] == "98.990000"
    assert any("update-cost-allocation-tags-status" in note for note in found["notes"])
    assert "2 paid calls of Cost Explorer, 0.02 USD" in found["notes"]


def test_every_service_that_has_an_offer_has_its_name_in_the_bill() -> None:
    codes = {offer.service for offer in OFFERS.values()} - {"AWSDataTransfer"}
    assert codes <= set(actual.CODES.values())


class Asked:
    """Counts what is asked of Cost Explorer."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str | None]] = []

    def __call__(self, begin: dt.date, end: dt.date, tag: str, value: str | None) -> Answer:
        self.calls.append((f"{begin}..{end} {tag}", value))
        return Answer((NAT,) if value else (STRANGER,), pages=1)


def test_a_closed_month_is_asked_for_once(tmp_path: Path) -> None:
    asked = Asked()
    bills = Bills(tmp_path, asked)
    assert bills.kept("prod", OCTOBER, NOW) is None
    read = bills.read("prod", OCTOBER, NOW)
    assert (read.pages, asked.calls) == (
        2,
        [("2026-10-01..2026-11-01 stack", "prod"), ("2026-10-01..2026-11-01 stack", None)],
    )
    years_later = bills.kept("prod", OCTOBER, NOW + dt.timedelta(days=1000))
    assert years_later == Bill((NAT,), (STRANGER,), pages=0)
    assert bills.kept("dev", OCTOBER, NOW) is None


@pytest.mark.parametrize("text", ["", "[]", '{"closed": true}', '{"closed": true, "own": [{}], "untagged": []}'])
def test_a_damaged_copy_of_a_bill_is_asked_for_again(tmp_path: Path, text: str) -> None:
    bills = Bills(tmp_path, Asked())
    bills.read("prod", OCTOBER, NOW)
    (copy,) = tmp_path.iterdir()
    copy.write_text(text)
    assert bills.kept("prod", OCTOBER, NOW) is None


def test_the_running_month_is_believed_for_some_hours_only(tmp_path: Path) -> None:
    bills, running = Bills(tmp_path, Asked()), month("2026-11", TODAY)
    assert (running.closed, running.hours) == (False, 25 * 24)
    bills.read("prod", running, NOW)
    assert bills.kept("prod", running, NOW + dt.timedelta(hours=5)) is not None
    assert bills.kept("prod", running, NOW + dt.timedelta(hours=7)) is None


def test_a_month_is_closed_when_its_last_charges_have_arrived() -> None:
    assert not month("2026-10", dt.date(2026, 11, 3)).closed
    assert month("2026-10", dt.date(2026, 11, 6)).closed


@pytest.mark.parametrize(
    ("text", "why"), [("2026-13", "is no month"), ("May", "is no month"), ("2027-01", "no day of it")]
)
def test_a_wrong_month_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotUsable, match=why):
        month(text, TODAY)


def test_every_page_is_read_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    explorer = client("ce", billing.HOME)
    amount = {"Amount": "1", "Unit": "USD"}
    group = {
        "Keys": ["EC2 - Other", "NatGateway-Hours"],
        "Metrics": dict.fromkeys(("AmortizedCost", "UnblendedCost", "UsageQuantity"), amount),
    }
    page = {"ResultsByTime": [{"Groups": [group]}]}
    expected = {
        "TimePeriod": {"Start": "2026-10-01", "End": "2026-11-01"},
        "Granularity": "MONTHLY",
        "Metrics": ANY,
        "GroupBy": ANY,
        "Filter": {
            "And": [
                {"Tags": {"Key": "stack", "Values": ["prod"]}},
                {"Not": {"Dimensions": {"Key": "RECORD_TYPE", "Values": ["Credit", "Refund", "Tax"]}}},
            ]
        },
    }
    with Stubber(explorer) as stub:
        stub.add_response("get_cost_and_usage", page | {"NextPageToken": "more"}, expected)
        stub.add_response("get_cost_and_usage", page, expected | {"NextPageToken": "more"})
        monkeypatch.setattr(billing, "client", lambda service, region: {("ce", "us-east-1"): explorer}[service, region])
        found = billing.billed(OCTOBER.begin, OCTOBER.end, "stack", "prod")
    assert (len(found.rows), found.pages) == (2, 2)


def test_nothing_is_paid_for_without_a_yes(
    opsctl: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(billing, "client", lambda *_: pytest.fail("it was asked"))
    ended = opsctl("cost-report", "-s", "prod", "--actual", "--month", "2026-10")
    assert ended.code == 2
    assert "there is no terminal to ask on; give --allow-paid-api" in ended.err


def test_actual_and_month_go_together(opsctl: Callable[..., Ended]) -> None:
    assert opsctl("cost-report", "--actual").code == 2
    assert "--actual and --month go together" in opsctl("cost-report", "--month", "2026-10").err
