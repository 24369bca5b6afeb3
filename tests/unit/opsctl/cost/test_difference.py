"""A change of cost is never judged small because something has no price."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from opsctl.cost.views import difference
from opsctl.cost.views.difference import Difference, overgrown
from tests.unit.opsctl.conftest import Ended

Run = Callable[..., Ended]
LINE = {"id": "a", "quantity": "1", "unitPrice": "1", "monthlyUsd": "1"}


def kept(total: str, *incomplete: str, **line: object) -> dict[str, Any]:
    totals = {"monthlyUsd": total}
    return {"stack": "prod", "lines": [{**LINE, **line}], "totals": totals, "incomplete": [*incomplete]}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (kept("100"), kept("110"), None),
        (kept("100"), kept("111"), "the cost grows by 11.0 %, over the 10 % of --fail-over"),
        (kept("0"), kept("0"), None),
        (kept("0"), kept("1"), "the cost grows from nothing, over the 10 % of --fail-over"),
        (kept("100"), kept("1", "no price of x"), "how much the cost grows is not known: no price of x"),
        (kept("100", "no price of x"), kept("100", "no price of x"), None),
    ],
)
def test_growth_over_a_limit_is_said(before: dict[str, Any], after: dict[str, Any], said: str | None) -> None:
    assert overgrown(difference.sheet(Difference(before, after)).document, Decimal("0.1")) == said


def test_what_had_no_price_before_is_noted() -> None:
    found = difference.sheet(Difference(kept("1", "no price of x"), kept("2")))
    assert found.notes == ("incomplete before: no price of x",)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1], "file: Input should be a valid dictionary"),
        ({}, "stack: Field required; lines: Field required"),
        (kept("1", quantity=None), "lines.0.quantity: "),
        (kept("NaN"), "totals.monthlyUsd: Input should be a finite number"),
        (kept("1", monthlyUsd={}), "lines.0.monthlyUsd: "),
    ],
)
def test_what_is_no_report_is_one_line(opsctl: Run, tmp_path: Path, document: object, message: str) -> None:
    file = tmp_path / "kept.json"
    file.write_text(json.dumps(document))
    ended = opsctl("cost-report", "--stack", "prod", "--diff", str(file))
    assert ended.code == 2
    assert message in ended.err
    assert len(ended.err.strip().splitlines()) == 1
