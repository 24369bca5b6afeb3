"""What a function and its API cost: by the request, and by the hour only what is kept warm."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from opsctl.cost.capacity import limits
from opsctl.cost.report import Report
from tests.unit.opsctl.cost.conftest import situation
from tests.unit.opsctl.cost.test_report import CENT, of, usd

Priced = Callable[..., Report]
GIB = Decimal(3008) / 1024
MILLION = "queries_per_month=1000000"
WARM = {"lambda": {"provisionedConcurrency": 2}}


@pytest.fixture
def on_lambda(priced: Priced) -> Priced:
    def run(*changes: str, **more: Any) -> Report:
        return priced("prod", *changes, **{"topology": "lambda", **more})

    return run


@pytest.mark.parametrize(
    ("key", "expected", "by_hand"),
    [
        ("lambda.request", "0.20", "1M x .20 a million"),
        ("lambda.x86.gb_second", "161.57", "1M x 3.3 s x 2.9375 GB x .0000166667"),
        ("api.rest.request", "3.50", "1M x 3.50 a million"),
    ],
)
def test_a_million_queries_cost_what_a_person_would_compute(
    on_lambda: Priced, key: str, expected: str, by_hand: str
) -> None:
    assert abs(usd(on_lambda(MILLION), key) - Decimal(expected)) <= CENT, by_hand


def test_without_a_query_a_function_costs_nothing(on_lambda: Priced) -> None:
    idle = on_lambda("queries_per_month=0")
    by_the_request = {"lambda.request", "lambda.x86.gb_second", "api.rest.request"}
    own = {line.component.resource for line in idle.lines if line.component.part == "monitoring"}
    paid = [line for line in idle.lines if line.component.price_key in by_the_request]
    assert {line.component.resource for line in paid} <= own, "the functions that watch the service run by the clock"
    assert usd(idle, "nat.hour", "alb.hour", "ipv4.hour", "cross_az.gb") == 0


def test_warm_instances_are_paid_by_the_hour_and_their_run_time_is_cheaper(on_lambda: Priced) -> None:
    warm = on_lambda(MILLION, **WARM)
    kept = of(warm, "lambda.x86.kept_gb_second")
    assert kept.component.quantity == 2 * GIB * 730 * 3600
    assert kept.component.kind == "fixed"
    assert of(warm, "lambda.x86.warm_gb_second").component.quantity == Decimal(3_300_000) * GIB
    assert usd(warm, "lambda.x86.gb_second") == 0
    asleep = on_lambda(MILLION, **WARM, scaling={"schedule": {}})
    assert of(asleep, "lambda.x86.kept_gb_second").component.quantity == 2 * GIB * 282 * 3600


def test_an_arm_function_has_arms_prices(on_lambda: Priced) -> None:
    assert usd(on_lambda(MILLION, service={"architecture": "arm64"}), "lambda.arm.gb_second") > 0


def test_scratch_space_is_paid_above_what_is_free(on_lambda: Priced) -> None:
    larger = on_lambda(MILLION, **{"lambda": {"ephemeralMiB": 1536}})
    assert of(larger, "lambda.tmp.gb_second").component.quantity == Decimal(3_300_000)
    assert usd(on_lambda(MILLION), "lambda.tmp.gb_second") == 0


def test_a_zip_pays_for_its_snapshots(on_lambda: Priced, tmp_path: Path) -> None:
    zipped = tmp_path / "lambda.zip"
    zipped.write_bytes(b"code")
    priced = on_lambda(**{"lambda": {"packaging": "zip", "artifact": str(zipped)}}, retrieval={"reranker": "none"})
    assert of(priced, "lambda.snapshot.gb_second").component.quantity == 2 * GIB * 730 * 3600
    assert of(priced, "lambda.snapshot.restored_gb").component.quantity == 500 * GIB
    assert of(priced, "s3.standard.gb_month", "-code").component.quantity == Decimal("0.5")


@pytest.mark.parametrize(("kib", "requests"), [("6", 1), ("10240", 1), ("10241", 2)])
def test_a_streamed_answer_is_one_request_for_each_10_mb(on_lambda: Priced, kib: str, requests: int) -> None:
    answered = on_lambda("queries_per_month=1000", f"response_kib_per_query={kib}")
    assert of(answered, "api.rest.request").component.quantity == 1000 * requests


def test_what_gives_out_first_is_the_concurrency_then_the_throttle() -> None:
    found = {limit.what: limit.queries for limit in limits(situation("prod", topology="lambda"))}
    assert found["50 functions at once of 3.3 s a query"] == Decimal(50) * 730 * 3600 / Decimal("3.3") / 4
    assert found["50 requests a second through the API"] == Decimal(50) * 730 * 3600 / 4


def test_a_production_stack_on_lambda_has_a_price_for_everything(on_lambda: Priced) -> None:
    assert on_lambda(**WARM).incomplete == ()
