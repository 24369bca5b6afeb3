"""The committed prices can be trusted: whole, dated, sourced; what is missing is missing."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from opsctl.cost import catalog
from opsctl.cost.catalog import Price
from opsctl.errors import NotUsable

ROW = {"unit": "GB", "as_of": "2026-11-01", "confidence": "A", "source": "a page"}
TIERED = Price.model_validate(
    {**ROW, "tiers": [{"up_to": 10, "usd": "0.09"}, {"up_to": 50, "usd": "0.05"}, {"usd": "0"}]}
)
AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=3)


@pytest.mark.parametrize("region", ["us-east-1", "eu-north-1"])
def test_every_committed_row_has_a_positive_price_and_a_source(region: str) -> None:
    found = catalog.load(region)
    assert len(found.prices) > 30
    for key, price in found.prices.items():
        assert price.source, key
        assert all(step.usd > 0 for step in price.steps), key


def test_a_key_that_a_region_lacks_is_not_taken_from_another() -> None:
    assert catalog.load("us-east-1").find("fargate.arm.vcpu_hour") is not None
    assert catalog.load("eu-north-1").find("fargate.arm.vcpu_hour") is None


def test_a_hosting_price_is_never_the_instance_price() -> None:
    """Sources that mix the two are common; the EC2 rate of g5.2xlarge is 1.212."""
    hosting = catalog.load("us-east-1").find("sagemaker.host.ml.g5.2xlarge.hour")
    assert hosting is not None
    assert hosting.usd == Decimal("1.515")


def test_a_region_without_a_file_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(NotUsable, match="no prices for region 'mars-1'; there are eu-north-1, us-east-1"):
        catalog.load("mars-1")


def test_each_tier_pays_its_own_price() -> None:
    assert TIERED.of(Decimal(60)) == 10 * Decimal("0.09") + 40 * Decimal("0.05")
    assert TIERED.of(Decimal(4)) == 4 * Decimal("0.09")


@given(AMOUNTS, AMOUNTS)
def test_more_never_costs_less_and_edges_do_not_jump(some: Decimal, more: Decimal) -> None:
    step = TIERED.of(some + more) - TIERED.of(some)
    assert 0 <= step <= more * Decimal("0.09")


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"usd": "1", "tiers": [{"usd": "1"}]},
        {"usd": "-1"},
        {"usd": "NaN"},
        {"tiers": [{"up_to": 5, "usd": "1"}]},
        {"tiers": [{"up_to": 5, "usd": "1"}, {"up_to": 4, "usd": "1"}, {"usd": "1"}]},
    ],
)
def test_a_row_that_says_no_one_price_is_refused(row: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Price.model_validate({**ROW, **row})


def test_a_row_of_more_than_100_days_is_stale() -> None:
    price = Price.model_validate({**ROW, "usd": "1"})
    assert not price.stale(dt.date(2026, 11, 1) + dt.timedelta(days=100))
    assert price.stale(dt.date(2026, 11, 1) + dt.timedelta(days=101))
