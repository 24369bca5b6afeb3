"""What a cluster costs, by hand: control plane, nodes, and what controllers make that no program owns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from infra.offline import Program
from opsctl.cost import catalog
from opsctl.cost.report import Report, report
from opsctl.cost.resources.kubernetes import gib, warnings
from tests.unit.opsctl.cost.conftest import TODAY, situation

Priced = Callable[..., Report]
CENT = Decimal("0.01")
EKS = {"topology": "eks"}
MEDIUM = {"eks": {"nodes": {"instanceType": "t3.medium", "min": 3}}}


def usd(found: Report, key: str, resource: str = "") -> Decimal:
    lines = [each for each in found.lines if each.component.price_key == key]
    return sum((each.usd or Decimal() for each in lines if each.component.resource.endswith(resource)), Decimal())


@pytest.mark.parametrize(
    ("key", "resource", "expected", "by_hand"),
    [
        ("eks.cluster_hour", "", "73.00", ".10 x 730"),
        ("ec2.t3.medium.hour", "-nodes", "91.10", "3 x .0416 x 730"),
        ("ebs.gp3.gb_month", "-nodes", "9.60", "3 x 40 GB x .08"),
        ("alb.hour", "-ingress", "16.43", ".0225 x 730, though no program declares it"),
        ("ipv4.hour", "-ingress", "10.95", "3 x .005 x 730: one in each zone"),
    ],
)
def test_the_cluster_costs_what_a_person_would_compute(
    priced: Priced, key: str, resource: str, expected: str, by_hand: str
) -> None:
    assert abs(usd(priced(**EKS, **MEDIUM), key, resource) - Decimal(expected)) <= CENT, by_hand


def test_a_report_of_eks_lacks_no_price(priced: Priced) -> None:
    assert priced(**EKS, **MEDIUM).incomplete == ()


def test_busy_hours_add_nodes_up_to_the_most(priced: Priced) -> None:
    """At 4 x the mean and 1,000 queries a minute and pod, 60 million queries a month want 5.5 pods."""
    quiet = priced(**EKS, **MEDIUM)
    assert usd(quiet, "ec2.t3.medium.hour", "-busy") == 0

    def busy(queries: str) -> Decimal:
        at = situation("prod", **EKS, **MEDIUM)
        at = replace(at, usage=at.usage.having(queries_per_month=Decimal(queries)))
        return usd(report(at, catalog.load("us-east-1"), today=TODAY), "ec2.t3.medium.hour", "-busy")

    mean_pods = Decimal(60_000_000) / (730 * 60) * 4 / 1000
    assert abs(busy("60000000") - (mean_pods - 3) * 730 * Decimal("0.0416")) <= CENT
    assert abs(busy("1e10") - (11 - 3) * 730 * Decimal("0.0416")) <= CENT


def test_spare_nodes_have_their_own_price(priced: Priced) -> None:
    nodes = {"instanceType": "t3.medium", "min": 3, "capacity": "spot"}
    spot = priced(**EKS, eks={"nodes": nodes})
    assert usd(spot, "ec2.t3.medium.hour") == 0
    assert abs(usd(spot, "ec2_spot.t3.medium.hour") - 3 * 730 * Decimal("0.0185")) <= CENT
    assert any("ec2_spot.t3.medium.hour" in each for each in spot.warnings)  # it moves: approximate


def test_nodes_that_aws_chooses_make_the_report_incomplete_and_not_cheaper(priced: Priced) -> None:
    auto = priced(**EKS, eks={"mode": "auto"})
    assert auto.incomplete == ("no price of eks.auto_mode.node_hour in us-east-1",)


def test_volumes_of_stores_are_paid_by_size_and_pod(priced: Priced) -> None:
    stores = {"retrieval": {"qdrant": "self-hosted", "selfHosted": {"instances": 3, "diskGiB": 50}}}
    held = priced(**EKS, eks={"nodes": {"instanceType": "t3.large", "min": 3}}, **stores)
    assert usd(held, "ebs.gp3.gb_month", "qdrant") == 3 * 50 * Decimal("0.08")


def test_extended_support_is_paid_where_a_cluster_does_not_refuse_it() -> None:
    at = situation("prod", **EKS, **MEDIUM)
    changed = [
        replace(each, inputs={**each.inputs, "upgradePolicy": {"supportType": "EXTENDED"}})
        if each.type.endswith("eks/cluster:Cluster")
        else each
        for each in at.program.resources
    ]
    extended = replace(at, program=Program(tuple(changed), at.program.outputs))
    found = report(extended, catalog.load("us-east-1"), today=TODAY)
    assert usd(found, "eks.extended_support_hour") == Decimal("0.50") * 730


@pytest.mark.parametrize(
    ("version", "today", "said"),
    [
        ("1.35", dt.date(2026, 11, 26), None),
        ("1.35", dt.date(2027, 1, 15), "ends on 2027-03-27"),
        ("1.34", dt.date(2026, 11, 26), "ends on 2026-12-02"),
        ("1.34", dt.date(2026, 12, 24), "ended on 2026-12-02"),
    ],
)
def test_a_version_that_grows_old_is_told(version: str, today: dt.date, said: str | None) -> None:
    found = list(warnings(situation("prod", **EKS, eks={"version": version}), today))
    assert [said in each for each in found] == ([True] if said else [])  # type: ignore[operator]


@pytest.mark.parametrize(("written", "size"), [("50Gi", 50), ("512Mi", 0.5), ("1Ti", 1024)])
def test_quantities_of_kubernetes_are_read(written: str, size: float) -> None:
    assert gib(written) == Decimal(str(size))


@pytest.mark.parametrize("written", ["50G", "many", "", "-1Gi", "Gi"])
def test_what_is_no_quantity_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        gib(written)
