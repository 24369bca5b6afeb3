"""`opsctl cost-report` as a user runs it: formats that agree, exit codes, explanations, wrong input in one line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.infra.cloud_cases import ROOT
from tests.unit.opsctl.conftest import Ended

Run = Callable[..., Ended]
PROD = ("cost-report", "--stack", "prod", "--region", "us-east-1")


def test_all_formats_agree_to_the_cent(opsctl: Run) -> None:
    document = json.loads(opsctl(*PROD, "--format", "json").out)
    total = Decimal(document["totals"]["monthlyUsd"])
    rows = {each["id"]: each for each in csv.DictReader(io.StringIO(opsctl(*PROD, "--format", "csv").out))}
    assert Decimal(rows["total/total"]["month USD"]) == total
    in_csv = {each: row["month USD"] for each, row in rows.items() if not each.startswith("total/")}
    assert in_csv == {each["id"]: each["monthlyUsd"] for each in document["lines"]}
    spelled = f"{total:,.2f}"
    assert f"| **total** |  |  | **{spelled}** |  |" in opsctl(*PROD, "--format", "markdown").out
    assert re.search(rf"^total +{re.escape(spelled)}", opsctl(*PROD).out, re.MULTILINE)


def test_the_table_fits_80_columns(opsctl: Run) -> None:
    assert max(len(line) for line in opsctl(*PROD).out.splitlines()) <= 80


def test_the_json_is_the_contract(opsctl: Run) -> None:
    document = json.loads(opsctl(*PROD, "--format", "json").out)
    assert (document["version"], document["stack"], document["topology"]) == (1, "prod", "ecs")
    assert document.keys() == {
        "version", "stack", "topology", "region", "asOf", "currency", "hoursPerMonth", "lines", "totals", "incomplete",
        "notIncluded", "warnings",
    }  # fmt: skip
    assert all(re.fullmatch(r"\d+\.\d{6}", each["monthlyUsd"]) for each in document["lines"])
    total = sum(Decimal(each["monthlyUsd"]) for each in document["lines"])
    assert abs(total - Decimal(document["totals"]["monthlyUsd"])) < Decimal("0.0001")


def test_strict_fails_where_a_price_is_missing_and_names_it(opsctl: Run) -> None:
    ended = opsctl("cost-report", "--stack", "prod", "--strict")  # eu-north-1 lacks some
    assert ended.code == 1
    assert "no price of cloudwatch.alarm_month in eu-north-1" in ended.err
    assert "total of what is priced" in ended.out
    assert opsctl(*PROD, "--strict").code == 0


def test_a_line_is_explained_with_its_arithmetic_and_source(opsctl: Run) -> None:
    ended = opsctl(*PROD, "--explain", "endpoint twin/sagemaker.host.ml.g5.2xlarge.hour")
    for said in ("730 hour", "1.515 USD per hour", "aws-samples", "1,105.95 USD (fixed)"):
        assert said in ended.out


def test_a_preview_or_an_export_of_the_same_stack_costs_the_same(opsctl: Run, tmp_path: Path) -> None:
    from tests.infra.cloud_cases import program

    steps = [
        {"op": "create", "urn": each.urn, "newState": {"urn": each.urn, "type": each.type, "inputs": each.inputs}}
        for each in program("prod").resources
    ]
    file = tmp_path / "preview.json"
    file.write_text(json.dumps({"steps": [*steps, {"op": "delete", "urn": "urn:gone", "oldState": {}}]}))
    totals = json.loads(opsctl(*PROD, "--format", "json").out)["totals"]
    assert json.loads(opsctl(*PROD, "--preview", str(file), "--format", "json").out)["totals"] == totals
    file.write_text(json.dumps({"deployment": {"resources": [step["newState"] for step in steps]}}))
    assert json.loads(opsctl(*PROD, "--preview", str(file), "--format", "json").out)["totals"] == totals


def test_a_resource_type_never_seen_makes_the_report_incomplete(opsctl: Run, tmp_path: Path) -> None:
    state = {"urn": "urn:pulumi:prod::rag-platform::aws:gold/mine:Mine::mine", "type": "aws:gold/mine:Mine"}
    file = tmp_path / "preview.json"
    file.write_text(json.dumps({"steps": [{"op": "create", "newState": state}]}))
    ended = opsctl(*PROD, "--preview", str(file), "--strict")
    assert ended.code == 1
    assert "mine: a resource type never seen (aws:gold/mine:Mine)" in ended.err


def test_a_report_goes_to_a_file(opsctl: Run, tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    assert not opsctl(*PROD, "--format", "markdown", "--out", str(out)).out
    assert out.read_text().startswith("### stack prod: ecs in us-east-1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--region", "mars-1"),
            "no prices for region 'mars-1'; there are eu-north-1, us-east-1; give one of them with --region",
        ),
        (("--set", "nonsense=1"), "no figure is called 'nonsense'"),
        (("--usage", "heavy"), "--usage heavy"),
        (("--explain", "nothing"), "there is no such line"),
        (("--preview", str(ROOT / "Pulumi.yaml")), "write one with `pulumi preview --json > preview.json`"),
        (("--stack", "nowhere"), "Pulumi.nowhere.yaml"),
        (("--stack-file", str(ROOT / "Makefile")), "Makefile"),
        (("--stack-file", str(ROOT / "Pulumi.yaml")), "has no `config:` with keys below it"),
        (("--compare", "ecs,moon"), "moon"),
        (("--sweep", "queries_per_month=many"), "is no range; write queries_per_month=1e3..1e7"),
        (("--sweep", "queries_per_month=1e7..1e3"), "the smaller one first"),
        (("--sweep", "image_gib=1..2"), "only queries_per_month"),
        (("--sweep", "queries_per_month=1e3..NaN"), "is no range"),
        (("--sweep", "queries_per_month=1.1..1.2"), "whole numbers from 1 up to 1e12"),
        (("--compare", ","), "names no topology; write --compare ecs,hybrid"),
        (("--out", str(ROOT / "nowhere" / "report.txt")), "can't be written: give a file in a folder that"),
        (("--diff", str(ROOT / "Makefile")), "Makefile"),
        (("--fail-over", "10%"), "--fail-over goes with --diff"),
        (("--diff", str(ROOT / "Pulumi.prod.yaml"), "--fail-over", "much"), "'much' is not like 10%"),
        (("--diff", str(ROOT / "Pulumi.prod.yaml"), "--fail-over", "NaN"), "'NaN' is not like 10%"),
        (("--guide", "--optimise"), "can't go together"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(opsctl: Run, words: tuple[str, ...], message: str) -> None:
    ended = opsctl("cost-report", *words)
    assert ended.code == 2
    assert message in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert not ended.out
