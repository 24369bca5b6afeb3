"""Every figure can be checked by hand, and nothing that has no price looks free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsctl.cost import catalog
from opsctl.cost.allowances import ALLOWANCES
from opsctl.cost.catalog import Catalog, Price
from opsctl.cost.report import Line, Report, report
from tests.unit.opsctl.cost.conftest import TODAY, price, situation

Priced = Callable[..., Report]
CENT, TINY = Decimal("0.01"), Decimal("1e-9")
SELF_HOSTED = {"retrieval": {"qdrant": "self-hosted"}, "documents": {"mongo": "self-hosted"}}
QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def of(report: Report, key: str, resource: str = "") -> Line:
    (found,) = [
        each for each in report.lines if each.component.price_key == key and each.component.resource.endswith(resource)
    ]
    return found


def usd(report: Report, *keys: str) -> Decimal:
    return sum((each.usd or Decimal() for each in report.lines if each.component.price_key in keys), Decimal())


@pytest.mark.parametrize(
    ("keys", "expected", "by_hand"),
    [
        (("fargate.x86.vcpu_hour", "fargate.x86.gb_hour"), "144.16", "2 x (2 x .04048 + 4 x .004445) x 730"),
        (("sagemaker.host.ml.g5.2xlarge.hour",), "1105.95", "1.515 x 730"),
        (("nat.hour",), "98.55", "3 x .045 x 730"),
        (("ipv4.hour",), "21.90", "6 x .005 x 730: three of the balancer, three of the gateways"),
        (("alb.hour",), "16.43", ".0225 x 730"),
        (("waf.acl_month", "waf.rule_month"), "10.00", "5 + 5 rules"),
        (("elasticache.valkey.cache.t4g.micro.node_hour",), "18.69", "2 x .0128 x 730"),
        (("sagemaker.data.gb",), "0.00", "8,000 x 1,750 tokens x 4 bytes = 0.05 GB x .016"),
        (("openai.gpt-4o-mini.input_token",), "1.20", "8,000 x 1,000 tokens x .15 a million: a fifth is cached"),
    ],
)
def test_the_production_stack_costs_what_a_person_would_compute(
    priced: Priced, keys: tuple[str, ...], expected: str, by_hand: str
) -> None:
    assert abs(usd(priced(), *keys) - Decimal(expected)) <= CENT, by_hand


def test_a_line_has_an_id_of_its_own(priced: Priced) -> None:
    """`--explain` and `--diff` find lines by it: two with one id would be one."""
    shapes: tuple[dict[str, object], ...] = (
        {},
        SELF_HOSTED,
        {"retrieval": {"qdrant": "self-hosted", "selfHosted": {"instances": 3, "replicas": 2}}},
        {"ecs": {"capacity": "ec2", "instanceType": "t3.large"}},
    )
    for shape in shapes:
        ids = [line.component.id for line in priced("prod", "queries_per_month=1000000000", **shape).lines]
        assert len(set(ids)) == len(ids)


def test_a_cluster_of_the_store_is_its_instances_disks_and_balancer(priced: Priced) -> None:
    report = priced(retrieval={"qdrant": "self-hosted", "selfHosted": {"instances": 3, "replicas": 2}})
    assert usd(report, "ec2.t3.medium.hour") == 3 * Decimal("0.0416") * 730
    assert usd(report, "ebs.gp3.gb_month") == 3 * (50 + 20) * Decimal("0.08")
    assert "no price of nlb.hour in us-east-1" in report.incomplete


def test_an_endpoint_that_sleeps_is_billed_awake_with_start_and_tail(priced: Priced) -> None:
    """176 h + 22 x 0.5 h at 1.515."""
    line = of(priced(generation={"scaling": {"min": 0, "max": 1}}), "sagemaker.host.ml.g5.2xlarge.hour")
    assert line.component.quantity == 187
    assert line.usd is not None
    assert round(line.usd, 2) == Decimal("283.30")  # 283.305, halves to even here
    assert line.component.kind == "usage"


def test_an_endpoint_that_sleeps_saves_nothing_day_and_night(priced: Priced) -> None:
    """A share of saving is no property of the endpoint but of the traffic."""
    line = of(
        priced("prod", "active_hours_per_month=730", generation={"scaling": {"min": 0, "max": 1}}),
        "sagemaker.host.ml.g5.2xlarge.hour",
    )
    assert line.component.quantity == 730


def test_a_schedule_and_spot_shape_the_tasks_of_development(priced: Priced) -> None:
    report = priced("dev")
    assert of(report, "fargate.x86.vcpu_hour").component.quantity == 282  # one task, on demand: the base
    both = priced("dev", service={"replicas": {"min": 2, "max": 2}})
    assert of(both, "fargate.x86.vcpu_hour").component.quantity == Decimal(282) * Decimal("1.25")
    assert of(both, "fargate_spot.x86.vcpu_hour").component.quantity == Decimal(282) * Decimal("0.75")


def test_the_firewalls_log_of_every_request_is_paid(priced: Priced) -> None:
    """1M x 2 KiB = 1.91 GB; kept for a year: twelve times as much."""
    report = priced("prod", "queries_per_month=1000000")
    ingested = of(report, "cloudwatch.logs.ingest_gb", "-log").component
    assert (round(ingested.quantity, 2), ingested.kind) == (Decimal("1.91"), "usage")
    assert of(report, "cloudwatch.logs.archive_gb_month", "-log").component.quantity == ingested.quantity * 12


def test_traffic_above_what_the_tasks_take_adds_tasks_up_to_the_maximum(priced: Priced) -> None:
    per_task = 1000 * 60 * 730
    some = priced("prod", f"queries_per_month={3 * per_task}", "peak_to_average_ratio=1")
    most = priced("prod", f"queries_per_month={30 * per_task}", "peak_to_average_ratio=1")
    assert of(some, "fargate.x86.vcpu_hour", "-busy").component.quantity == 1 * 2 * 730
    assert of(most, "fargate.x86.vcpu_hour", "-busy").component.quantity == 2 * 2 * 730


def test_what_stores_say_of_their_volumes_is_a_metric_of_each_store(priced: Priced) -> None:
    (stores,) = [each for each in priced(**SELF_HOSTED).lines if each.component.name == "metrics of stores"]
    assert stores.component.quantity == 2
    assert not [each for each in priced().lines if each.component.name == "metrics of stores"]


def test_self_hosted_stores_cost_instances_and_volumes(priced: Priced) -> None:
    report = priced(**SELF_HOSTED)
    assert usd(report, "ec2.t3.medium.hour") == 2 * Decimal("0.0416") * 730
    assert usd(report, "ebs.gp3.gb_month") == 2 * (50 + 20) * Decimal("0.08")
    assert not [each for each in report.lines if each.component.resource in {"qdrant cloud", "mongodb atlas"}]
    assert "no price of ebs.snapshot.gb_month in us-east-1" in report.incomplete


def test_instances_take_the_place_of_fargate(priced: Priced) -> None:
    report = priced(ecs={"capacity": "ec2", "instanceType": "t3.large"})
    assert usd(report, "ec2.t3.large.hour") == 2 * Decimal("0.0832") * 730
    assert not [each for each in report.lines if each.component.price_key.startswith("fargate")]


def test_the_edge_alone_costs_nothing_and_says_what_is_left_out(priced: Priced) -> None:
    found = priced("local")
    assert found.totals.monthly == 0
    assert not found.incomplete
    assert any("edge host" in each for each in found.not_included)


def test_a_price_that_is_missing_makes_the_report_incomplete_not_cheaper_in_silence(priced: Priced) -> None:
    whole = catalog.load("us-east-1")
    for key in {each.component.price_key for each in priced().lines if each.component.quoted is None}:
        report = priced(prices=Catalog("us-east-1", {k: v for k, v in whole.prices.items() if k != key}))
        assert f"no price of {key} in us-east-1" in report.incomplete


def test_stale_and_approximate_prices_are_named(priced: Priced) -> None:
    stale, weak = priced(region="eu-north-1").warnings
    assert "alb" not in stale.split(":")[0]
    assert "sagemaker.host.ml.g5.2xlarge.hour" in weak


def test_no_query_leaves_only_what_is_fixed(priced: Priced) -> None:
    report = priced("prod", "queries_per_month=0", generation={"scaling": {"min": 0, "max": 1}})
    assert {each.component.kind for each in report.lines} == {"fixed"}
    assert report.totals.usage == 0
    assert report.totals.per_query is None


def test_the_sums_are_those_of_the_unrounded_lines(priced: Priced) -> None:
    report = priced()
    assert report.totals.monthly == sum(each.usd for each in report.lines if each.usd is not None)
    assert report.totals.monthly == report.totals.fixed + report.totals.usage
    assert report.totals.without_llm < report.totals.monthly - 1000


def scaled(prices: Catalog, factor: int) -> Catalog:
    def more(price: Price) -> Price:
        steps = tuple(step.model_copy(update={"usd": step.usd * factor}) for step in price.tiers)
        usd = None if price.usd is None else price.usd * factor
        return price.model_copy(update={"usd": usd, "tiers": steps})

    return Catalog(prices.region, {key: more(price) for key, price in prices.prices.items()})


@QUICK
@given(st.integers(0, 10**8))
def test_doubled_prices_double_every_line_that_the_catalog_prices(priced: Priced, queries: int) -> None:
    change = f"queries_per_month={queries}"
    once = priced("prod", change)
    twice = priced("prod", change, prices=scaled(catalog.load("us-east-1"), 2))
    for one, two in zip(once.lines, twice.lines, strict=True):
        assert one.usd is not None
        assert two.usd is not None
        assert abs(two.usd - one.usd * (1 if one.component.quoted is not None else 2)) < TINY


@QUICK
@given(st.integers(0, 10**8), st.integers(0, 10**8))
def test_more_queries_never_cost_less(priced: Priced, some: int, more: int) -> None:
    def total(queries: int) -> Decimal:
        return priced("prod", f"queries_per_month={queries}").totals.monthly

    assert total(some) <= total(some + more)


@QUICK
@given(st.sampled_from(["low", "expected", "high"]), st.integers(1, 10**7))
def test_each_line_is_quantity_times_price(priced: Priced, profile: str, queries: int) -> None:
    for line in priced("prod", f"queries_per_month={queries}", profile=profile).lines:
        unit, usd = line.unit_usd, line.usd
        assert unit is not None
        assert usd is not None
        assert abs(line.component.quantity * unit - usd) < TINY


def test_the_order_of_the_resources_changes_nothing(priced: Priced) -> None:
    at = situation("prod")
    turned = replace(at.program, resources=at.program.resources[::-1])
    assert price(replace(at, program=turned)).totals == priced().totals


@QUICK
@given(st.integers(0, 10**9))
def test_the_free_tier_never_raises_a_total_and_is_used_up_once(priced: Priced, queries: int) -> None:
    at = situation("prod", f"queries_per_month={queries}")
    full, less = (report(at, catalog.load("us-east-1"), today=TODAY, free_tier=free) for free in (False, True))
    saved = full.totals.monthly - less.totals.monthly
    most = sum((catalog.load("us-east-1").prices[key].of(free) for key, free in ALLOWANCES.items()), Decimal())
    assert 0 < saved <= most
