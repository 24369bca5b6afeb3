"""A usage file gives every figure, with a reason; what is absurd or misspelt is one line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from opsctl.cost import usage
from opsctl.errors import NotUsable
from tests.infra.cloud_cases import ROOT

SHIPPED = Path(usage.__file__).with_name("usage")


@pytest.mark.parametrize("profile", usage.PROFILES)
def test_a_shipped_profile_gives_every_figure_with_a_reason(profile: str) -> None:
    found = usage.load(profile)
    given = [name for name, field in usage.Figures.model_fields.items() if field.is_required()]
    assert all(getattr(found.figures, name).why for name in given)


@pytest.mark.parametrize("name", usage.Figures.model_fields)
def test_every_figure_stands_in_a_formula_of_the_cost_model(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "cost-model.md").read_text()


def test_the_profiles_are_ordered_by_traffic() -> None:
    low, expected, high = (usage.load(each).amount("queries_per_month") for each in usage.PROFILES)
    assert low < expected < high


def test_a_change_wins_and_says_so() -> None:
    found = usage.load("low", ["queries_per_month=250000"])
    assert found.amount("queries_per_month") == Decimal(250000)
    assert "250000 (given by --set)" in found.because("queries_per_month")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("querries_per_month=1", "no figure is called 'querries_per_month'; figures are hours_per_month, "),
        ("queries_per_month", "'' is no number; write queries_per_month=1000"),
        ("queries_per_month=many", "'many' is no number"),
        ("queries_per_month=-1", "figures.queries_per_month.value: Input should be greater than or equal to 0"),
        ("queries_per_month=1e13", "figures.queries_per_month.value: Input should be less than or equal to"),
        ("queries_per_month=NaN", "figures.queries_per_month.value: "),
        ("queries_per_month=1e-50000", "should have no more than 12 decimal places"),
        ("hours_per_month=1000000", "figures.hours_per_month.value: Input should be less than or equal to 744"),
        ("cache_hit_share=1.1", "figures.cache_hit_share.value: Input should be less than or equal to 1"),
        ("hours_per_month=0", "figures.hours_per_month.value: Input should be greater than 0"),
    ],
)
def test_a_wrong_change_is_one_line(change: str, message: str) -> None:
    with pytest.raises(NotUsable) as raised:
        usage.load("expected", [change])
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "file: Input should be a valid dictionary"),
        ("version: 2\nfigures: {}", "version: "),
        ("figures: [", "while parsing"),
        ("version: 1\nfigures: {queries: 1}", "figures.queries_per_month: Field required"),
    ],
)
def test_a_damaged_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "usage.yaml"
    file.write_text(text)
    with pytest.raises(NotUsable) as raised:
        usage.load(str(file))
    assert message in str(raised.value)


def test_a_file_that_is_not_there_names_the_profiles() -> None:
    with pytest.raises(NotUsable, match="give one of low, expected, high"):
        usage.load("/nowhere/usage.yaml")
