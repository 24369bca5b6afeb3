"""What else can be asked: comparisons, curves, differences, levers and the guide; each figure is a report's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from opsctl.cost import catalog, usage
from opsctl.cost.capacity import limits
from opsctl.cost.pricing import Pricing
from opsctl.cost.views import bill, compare, guide, levers, sweep
from opsctl.render import RENDERERS, renderer
from opsctl.sheet import Sheet, Usd
from tests.infra import cloud_cases
from tests.unit.opsctl.conftest import Ended
from tests.unit.opsctl.cost.conftest import TODAY, situation

Run = Callable[..., Ended]
EAST = ("--region", "us-east-1")


def pricing(*figures: str, **more: Any) -> Pricing:
    tree = cloud_cases.merged(cloud_cases.stack_file("prod"), cloud_cases.second_phase(**more))
    return Pricing("prod", tree, usage.load("expected", figures), TODAY, "us-east-1")


def test_a_comparison_shows_what_each_topologys_own_report_says() -> None:
    asked = pricing()
    found = compare.sheet(asked, ["ecs"])
    own = asked.report()
    by_name = {str(row[0]): row[1] for row in found.sums}
    assert by_name["without models"] == Usd(own.totals.without_llm)
    assert by_name["total"] == Usd(own.totals.monthly)
    parts = {str(row[0]) for row in found.rows}
    assert parts == {line.component.part for line in own.lines} - {"model", "query model"}


def test_an_edge_stands_beside_the_same_stack_in_the_cloud(opsctl: Run, tmp_path: Path) -> None:
    """Both answer through llama.cpp, and nothing else of the config is changed: what is left is the topology."""
    config = yaml.safe_load((cloud_cases.ROOT / "Pulumi.prod.yaml").read_text())["config"]
    config["rag-platform:generation"] = {
        "provider": "llamacpp",
        "model": "/models/answers.gguf",
        "llamacpp": {"image": cloud_cases.DIGEST},
    }
    config |= {
        "rag-platform:hybrid": {"fallback": {"kind": "none"}, "bundle": {"bucket": False}},
        "rag-platform:queryModel": {"provider": "none"},
    }
    config |= {"rag-platform:cache": {"redis": "none"}}
    file = tmp_path / "Pulumi.both.yaml"
    file.write_text(yaml.safe_dump({"config": config}))
    ended = opsctl("cost-report", "--stack-file", str(file), *EAST, "--compare", "ecs,hybrid", "--format", "json")
    assert ended.code == 0, ended.err
    totals = {name: Decimal(each["totals"]["monthlyUsd"]) for name, each in json.loads(ended.out)["topologies"].items()}
    assert totals["hybrid"] == 0
    assert totals["ecs"] > 144, "the sidecar has its part of the task's own size"


def test_a_sweep_of_what_costs_nothing_is_drawn_too(opsctl: Run) -> None:
    ended = opsctl("cost-report", "-s", "local", "--sweep", "queries_per_month=1e3..1e7", "--format", "html")
    assert ended.code == 0, ended.err
    assert "<polyline" in ended.out


@pytest.mark.parametrize("view", [(), ("--compare", "ecs"), ("--sweep", "queries_per_month=1e3..1e5"), ("--optimise",)])
@pytest.mark.parametrize("form", RENDERERS)
def test_every_view_in_every_format_says_what_is_missing_and_stale(
    opsctl: Run, view: tuple[str, ...], form: str
) -> None:
    """The region of the stack file lacks prices, and has old ones."""
    ended = opsctl("cost-report", "-s", "prod", *view, "--format", form)
    said = " ".join((ended.out + ended.err).split())
    assert "no price of cloudwatch.alarm_month in eu-north-1" in said
    assert "prices are older than 100 days" in said


def test_curves_are_the_reports_of_their_points() -> None:
    asked = pricing()
    document: Any = sweep.sheet(asked, ["ecs"], sweep.parsed("queries_per_month=1e3..1e7")).document
    xs, curve = document["queriesPerMonth"], document["monthlyUsd"]["ecs"]
    assert (len(xs), xs[0], xs[-1]) == (200, "1000", "10000000")
    for n in (0, 77, 199):
        again = asked.price(asked.situation(), usage.load("expected", [f"queries_per_month={xs[n]}"]))
        assert curve[n] == bill.exact(again.totals.monthly)
    assert [Decimal(each) for each in curve] == sorted(Decimal(each) for each in curve)


def test_a_crossing_is_where_the_dearer_becomes_the_cheaper(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is always on against tokens that are paid one by one."""
    asked = pricing("active_hours_per_month=0", "wakes_per_month=0")
    own, paid = {"generation": {"scaling": {"min": 1, "max": 1}}}, {"generation": {"provider": "openai"}}
    paid["generation"]["model"] = "gpt-4.1-mini"
    stacks = {"own": asked.situation(own), "paid": asked.situation(paid)}
    monkeypatch.setattr(Pricing, "situation", lambda _, changes: stacks[changes["topology"]])
    document: Any = sweep.sheet(asked, ["own", "paid"], sweep.parsed("queries_per_month=1e3..1e8")).document
    (crossing,) = document["crossings"]
    at = Decimal(crossing["queriesPerMonth"])

    def ahead(queries: Decimal) -> Decimal:
        figures = asked.usage.having(queries_per_month=queries)
        one, other = (asked.price(stacks[name], figures).totals.monthly for name in ("own", "paid"))
        return one - other

    assert ahead(at - 1) > 0 >= ahead(at) or ahead(at - 1) < 0 <= ahead(at)


def test_the_nearest_limit_is_named_with_its_arithmetic() -> None:
    nearest, other = limits(situation("prod", "peak_to_average_ratio=1"))
    assert nearest.what == "2 x ml.g5.2xlarge at 300 tokens/s"
    assert nearest.queries == Decimal(300 * 2 * 730 * 3600) / 250
    assert other.queries == 4 * 1000 * 60 * 730


def test_a_lever_saves_what_the_changed_stack_costs_less() -> None:
    asked = pricing()
    document: Any = levers.sheet(asked).document
    saved = {each["name"]: each for each in document["levers"]}
    sleeping = asked.report({"generation": {"scaling": {"min": 0}}})
    assert saved["scale the endpoint to zero"]["savesUsd"] == bill.exact(
        asked.report().totals.monthly - sleeping.totals.monthly
    )
    assert saved["batch API"]["savesUsd"] is None
    assert "ebs.snapshot.gb_month" in saved["self-hosted Qdrant"]["why"]
    assert {each["name"] for each in document["levers"]} == {each.name for each in levers.LEVERS}


def test_a_lever_that_the_stack_can_not_pull_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levers, "LEVERS", [each for each in levers.LEVERS if each.name == "Fargate Spot"])
    document: Any = levers.sheet(pricing(service={"architecture": "arm64"})).document
    (spot,) = [each for each in document["levers"] if each["name"] == "Fargate Spot"]
    assert spot["savesUsd"] is None
    assert spot["why"]


def test_a_difference_names_what_was_added_removed_and_changed(opsctl: Run, tmp_path: Path) -> None:
    config = yaml.safe_load((cloud_cases.ROOT / "Pulumi.prod.yaml").read_text())
    config["config"]["rag-platform:access"]["waf"] = False
    config["config"]["rag-platform:service"]["cpu"] = 1
    config["config"]["rag-platform:retrieval"]["qdrant"] = "self-hosted"
    other = tmp_path / "Pulumi.before.yaml"
    other.write_text(yaml.safe_dump(config))
    document = json.loads(opsctl("cost-report", "-s", "prod", *EAST, "--diff", str(other), "--format", "json").out)
    why = {each["id"]: each["why"] for each in document["lines"]}
    assert why["acl/waf.acl_month"] == "added"
    assert why["qdrant-host/ec2.t3.medium.hour"] == "removed"
    assert why["service/fargate.x86.vcpu_hour"] == "quantity 1,460 -> 2,920"
    assert "nat-0/nat.hour" not in why


def test_a_kept_report_is_compared_by_price_too_and_growth_fails_over_a_limit(opsctl: Run, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    assert opsctl("cost-report", "-s", "prod", *EAST, "--format", "json", "--out", str(kept)).code == 0
    same = opsctl("cost-report", "-s", "prod", *EAST, "--diff", str(kept), "--fail-over", "0%")
    assert same.code == 0, same.err
    report = json.loads(kept.read_text())
    (line,) = [each for each in report["lines"] if each["id"].endswith("ml.g5.2xlarge.hour")]
    line["unitPrice"], line["monthlyUsd"] = "1", "730.000000"
    report["totals"]["monthlyUsd"] = f"{Decimal(report['totals']['monthlyUsd']) - Decimal('375.95'):.6f}"
    kept.write_text(json.dumps(report))
    grown = opsctl(
        "cost-report", "-s", "prod", *EAST, "--diff", str(kept), "--fail-over", "10%", "--format", "markdown"
    )
    assert grown.code == 1
    assert "price 1 -> 1.515" in grown.out
    assert "over the 10 % of --fail-over" in grown.err


def test_the_guides_tables_stand_beside_the_true_figures(opsctl: Run) -> None:
    ended = opsctl("cost-report", "--guide", *EAST, "--format", "json", "--strict")
    assert ended.code == 1, "Qdrant Cloud and the edge host have no price"
    document = json.loads(ended.out)
    true = {row["what"]: row["trueUsd"] for table in document["tables"] for row in table["rows"]}
    assert true["FastAPI on ECS, 2 tasks of 2 vCPU and 4 GB"] == "144.160400"
    assert true["SageMaker ml.g5.2xlarge, day and night"] == "1105.950000"
    assert true["EKS, 3 nodes of t3.medium with 20 GB each"] == "168.904000"
    assert true["Lambda, 10,000 queries of 3.3 s at 1 GB"] == "0.552001"
    assert true["Qdrant Cloud, 1M vectors"] is None
    said = {table["of"]: table["totals"]["guideUsd"] for table in document["tables"]}
    assert said == {
        "AWS Cloud": "1058.000000",
        "Kubernetes": "1094.000000",
        "Serverless": "999.000000",
        "Hybrid": "0.000000",
    }
    assert any("older than 100 days" in each for each in document["notes"])


@pytest.fixture(scope="module")
def sheets() -> dict[str, Sheet]:
    asked = pricing()
    return {
        "bill": bill.sheet(asked.report()),
        "compare": compare.sheet(asked, ["ecs"]),
        "sweep": sweep.sheet(asked, ["ecs"], sweep.parsed("queries_per_month=1e3..1e5")),
        "levers": levers.sheet(asked),
        "guide": guide.sheet(catalog.load("us-east-1"), TODAY),
    }


@pytest.mark.parametrize("form", RENDERERS)
@pytest.mark.parametrize("view", ["bill", "compare", "sweep", "levers", "guide"])
def test_every_view_is_written_in_every_format(sheets: dict[str, Sheet], view: str, form: str) -> None:
    text = renderer(form)(sheets[view])
    assert text.endswith("\n")
    dearest = max(
        (cell.value for row in sheets[view].rows for cell in row if type(cell) is Usd and cell.value), default=0
    )
    assert f"{dearest:,.2f}" in text or f"{dearest:.6f}" in text
