"""Charts in Markdown: short labels, whole dollars, nothing where there is nothing to draw."""

from __future__ import annotations

from decimal import Decimal

import pytest

from opsctl.render.mermaid import blocks
from opsctl.sheet import Bars, Curves


def test_bars_are_drawn_dearest_first_as_they_come() -> None:
    (block,) = blocks([Bars("parts", {"model, own": Decimal("1105.95"), "logs": Decimal("0.5")})])
    assert block.splitlines() == [
        "```mermaid",
        "xychart-beta",
        '  title "parts"',
        '  x-axis ["model, own", "logs"]',
        '  y-axis "USD" 0 --> 1107',
        "  bar [1106, 1]",
        "```",
    ]


def test_nothing_is_drawn_of_nothing() -> None:
    assert blocks([Bars("none", {}), Bars("all free", {"edge": Decimal()})]) == []


def test_a_curve_keeps_its_ends_and_each_line_is_named() -> None:
    points = tuple((Decimal(1000 + n), Decimal(n)) for n in range(200))
    (block,) = blocks([Curves("cost", "queries", {"ecs": points, "edge": points[:]})])
    assert '  title "cost (ecs, edge)"' in block
    assert block.count("  line [0, ") == 2
    assert block.count(", 199]") == 2
    assert '["1k", ' in block


@pytest.mark.parametrize(
    ("queries", "label"), [(1, "1"), (999, "999"), (1000, "1k"), (31_622, "31.6k"), (999_950, "1M"), (10**12, "1000G")]
)
def test_a_label_has_three_digits_and_a_scale(queries: int, label: str) -> None:
    (block,) = blocks([Curves("cost", "queries", {"ecs": ((Decimal(queries), Decimal(1)),)})])
    assert f'x-axis ["{label}"]' in block
