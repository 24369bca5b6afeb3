"""The price list's traps: exactly one positive price on demand, or the row stays as it is and says why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from botocore.stub import Stubber

from opsctl.cost import catalog, refreshing
from opsctl.cost.offers import OFFERS, key_of, offer_of
from opsctl.cost.price_list import price_of
from opsctl.errors import CheckFailed
from tests.unit.opsctl.conftest import Ended
from tests.unit.opsctl.cost.price_items import item, reserved

NODE = "elasticache.valkey.cache.t4g.micro.node_hour"
HOSTING = "sagemaker.host.ml.g5.2xlarge.hour"
NAT = "nat.hour"


def read(key: str, *items: str) -> catalog.Price:
    offer = offer_of(key)
    assert offer is not None
    return price_of(key, offer, items, region="eu-west-1", unit="hour")


def test_a_price_keeps_its_date_its_sku_and_all_its_digits() -> None:
    price = read(HOSTING, item("S1", "EU-Host:ml.g5.2xlarge", "1.5150000000"))
    assert (price.usd, price.sku, price.as_of.isoformat()) == (Decimal("1.5150000000"), "S1", "2026-11-01")
    assert (price.confidence, price.source) == ("A", "AWS Price List")


def test_a_region_without_a_prefix_is_read_too() -> None:
    assert read(NAT, item("S1", "NatGateway-Hours", "0.045")).usd == Decimal("0.045")


def test_a_reserved_term_at_nothing_under_on_demand_is_not_the_price() -> None:
    assert read(NODE, item("S1", "EU-NodeUsage:cache.t4g.micro", "0.0128", terms=reserved("S1"))).usd == Decimal(
        "0.0128"
    )


def test_a_surcharge_of_extended_support_is_not_the_price() -> None:
    surcharges = [
        item(f"X{n}", f"EU-ExtendedSupport{n}-NodeUsage:cache.t4g.micro", "0.019") for n in ("Yr1_Yr2", "Yr3")
    ]
    assert read(NODE, *surcharges, item("S1", "EU-NodeUsage:cache.t4g.micro", "0.0128")).sku == "S1"


def test_a_twin_of_another_place_is_not_the_price() -> None:
    assert (
        read(
            "alb.hour", item("X", "EU-Outposts-LoadBalancerUsage", "0.0225"), item("S", "EU-LoadBalancerUsage", "0.03")
        ).sku
        == "S"
    )


def test_tiers_come_in_the_order_of_their_begin_and_end_where_the_list_says() -> None:
    price = read("egress.internet.gb", item("S1", "EU-DataTransfer-Out-Bytes", "0.09", "0.085", "0.05"))
    assert [step.usd for step in price.steps] == [Decimal("0.09"), Decimal("0.085"), Decimal("0.05")]
    assert [step.up_to for step in price.steps] == [Decimal(100), Decimal(200), None]


def test_a_first_tier_at_nothing_is_the_free_allowance_which_is_not_counted() -> None:
    assert read("egress.internet.gb", item("S1", "EU-DataTransfer-Out-Bytes", "0", "0.09")).usd == Decimal("0.09")


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([], "0 products fit"),
        ([item("S1", "EU-NatGateway-Hours", "0.05"), item("S2", "EU-NatGateway-Hours", "0.06")], "2 products fit"),
        ([item("S1", "EU-NatGateway-Hours", "0.05", region="eu-north-1")], "0 products fit"),
        ([item("S1", "EU-NatGateway-Hours", "0")], "0 products fit"),
        ([item("S1", "EU-NatGateway-Hours", "0.05").replace("2026-11-01T", "soon T")], "not one that can be read"),
    ],
)
def test_what_is_not_exactly_one_price_is_refused(items: list[str], why: str) -> None:
    with pytest.raises(CheckFailed, match=why):
        read(NAT, *items)


@pytest.mark.parametrize("key", [*OFFERS, HOSTING, NODE, "ec2.t3.medium.hour"])
def test_a_bills_usage_type_finds_its_way_back_to_its_key(key: str) -> None:
    """One table serves both directions."""
    offer = offer_of(key)
    assert offer is not None
    plain = offer.usage_type.replace("\\", "").replace("(?:In|Out)", "Out")
    rivals = [
        each for each in OFFERS if each != key and (o := OFFERS[each]).covers(plain) and o.service == offer.service
    ]
    assert key_of(offer.service, f"EUN1-{plain}", [key]) == key
    assert {OFFERS[each].filters.get("productFamily") for each in rivals} <= {
        "Load Balancer-Network",
        "Load Balancer-Application",
    }


def answers(*items: str) -> Callable[[str, Mapping[str, str]], Iterable[str]]:
    def fetch(service: str, filters: Mapping[str, str]) -> Iterable[str]:
        return [] if service != "AmazonEC2" else items

    return fetch


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("us-east-1", "eu-north-1", "global"):
        (tmp_path / f"{name}.yaml").write_text((refreshing.FOLDER / f"{name}.yaml").read_text())
    monkeypatch.setattr(refreshing, "FOLDER", tmp_path)
    return tmp_path


def test_only_rows_that_changed_are_rewritten_and_the_others_stay_to_the_letter(folder: Path) -> None:
    before = (folder / "eu-north-1.yaml").read_text().splitlines()
    changes = refreshing.refreshed(
        "eu-north-1", answers(item("S1", "EUN1-NatGateway-Hours", "0.047", region="eu-north-1"))
    )
    after = refreshing.text_of("eu-north-1", changes).splitlines()
    assert [line.split(":")[0].strip() for line in after if line not in before] == ["nat.hour"]
    assert len(after) == len(before)
    kept = {each.key: each.why for each in changes if each.why}
    assert kept["fargate_spot.x86.gb_hour"] == "the price list has no such product"
    assert kept["nat.gb"].startswith("0 products fit")


def test_a_region_without_a_file_gets_one_that_can_be_read(folder: Path) -> None:
    changes = refreshing.refreshed("eu-west-1", answers(item("S1", "EU-NatGateway-Hours", "0.048")))
    file = refreshing.write("eu-west-1", refreshing.text_of("eu-west-1", changes))
    assert file.parent == folder
    assert 'nat.hour: {unit: hour, usd: "0.048", as_of: 2026-11-01' in file.read_text()


def test_the_price_list_is_asked_where_it_answers_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    from opsctl.aws import pricing
    from opsctl.aws.session import client

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    asked = client("pricing", pricing.HOME)
    wanted = {
        "ServiceCode": "AmazonEC2",
        "FormatVersion": "aws_v1",
        "Filters": [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": "eu-west-1"}],
    }
    with Stubber(asked) as stub:
        stub.add_response("get_products", {"PriceList": ["1"], "NextToken": "more"}, wanted)
        stub.add_response("get_products", {"PriceList": ["2"]}, wanted | {"NextToken": "more"})
        monkeypatch.setattr(
            pricing, "client", lambda service, region: {("pricing", "us-east-1"): asked}[service, region]
        )
        assert list(pricing.products("AmazonEC2", {"regionCode": "eu-west-1"})) == ["1", "2"]


def test_refresh_shows_the_difference_and_writes_only_when_told(
    opsctl: Callable[..., Ended], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opsctl.aws import pricing

    monkeypatch.setattr(pricing, "products", answers(item("S1", "EUN1-NatGateway-Hours", "0.047", region="eu-north-1")))
    before = (folder / "eu-north-1.yaml").read_text()
    shown = opsctl("prices", "refresh", "--region", "eu-north-1")
    assert (shown.code, (folder / "eu-north-1.yaml").read_text()) == (0, before)
    assert "0.046" in shown.out
    assert "0.047" in shown.out
    assert opsctl("prices", "refresh", "--region", "eu-north-1", "--write").code == 0
    assert 'usd: "0.047"' in (folder / "eu-north-1.yaml").read_text()
    assert opsctl("prices", "refresh", "--region", "Ireland").code == 2
