"""The cost of one or several topologies over a range of queries: curves, where they cross, and where each gives out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from opsctl.cost.capacity import limits
from opsctl.cost.usage import ABSURD
from opsctl.cost.views.bill import exact, shared_notes
from opsctl.errors import NotUsable
from opsctl.sheet import Column, Curves, Quantity, Sheet, Usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opsctl.cost.components import Situation
    from opsctl.cost.pricing import Pricing

FIGURE = "queries_per_month"
POINTS = 200
SHOWN = 8  # rows of the table; the curve has all points
CLOSE = Decimal(1)  # a crossing is solved to one query


@dataclass(frozen=True, slots=True)
class Range:
    """Queries a month from `low` to `high`, spread evenly by ratio."""

    low: Decimal
    high: Decimal

    def points(self, count: int = POINTS) -> list[Decimal]:
        """`count` whole numbers of queries."""
        step = math.log(self.high / self.low) / (count - 1)
        return [Decimal(round(float(self.low) * math.exp(step * n))) for n in range(count)]


def parsed(text: str) -> Range:
    """`queries_per_month=1e3..1e7`.

    Raises:
        NotUsable: it has another shape.
    """
    name, _, values = text.partition("=")
    ends = values.split("..")
    try:
        low, high = (Decimal(each) for each in ends)
        sound = name == FIGURE and 1 <= low < high <= ABSURD and low % 1 == high % 1 == 0
    except (ValueError, ArithmeticError) as exc:  # also of a NaN, which compares with nothing
        raise NotUsable(f"--sweep {text}: is no range", next_step=f"write {FIGURE}=1e3..1e7") from exc
    if not sound:
        raise NotUsable(
            f"--sweep {text}: only {FIGURE} can be swept, whole numbers from 1 up to 1e12, the smaller one first",
            next_step=f"write {FIGURE}=1e3..1e7",
        )
    return Range(low, high)


def sheet(pricing: Pricing, names: Sequence[str], over: Range) -> Sheet:
    """A row per shown point, a curve per topology, and what is worth knowing of them as notes.

    Raises:
        NotUsable: a topology is unknown.
    """
    stacks = {name: pricing.on(name) for name in names}
    xs = over.points()
    curves = {name: [_total(pricing, at, x) for x in xs] for name, at in stacks.items()}
    crossings = list(_crossings(pricing, stacks, xs, curves))
    ends = {name: pricing.price(at, at.usage.having(**{FIGURE: over.high})) for name, at in stacks.items()}
    capacity = {name: limits(at) for name, at in stacks.items()}
    notes = [f"{one} and {other} cost the same at {x:,f} queries a month" for one, other, x in crossings]
    notes += [
        f"{name} gives out at {limit.queries:,.0f} queries a month: {limit.what}"
        for name, found in capacity.items()
        for limit in found[:1]
    ]
    shown = sorted({round(n * (len(xs) - 1) / (SHOWN - 1)) for n in range(SHOWN)})
    return Sheet(
        title=f"stack {pricing.stack}, USD a month from {over.low:,f} to {over.high:,f} queries a month",
        columns=(Column("queries", figures=True), *(Column(name, figures=True) for name in names)),
        rows=tuple((Quantity(xs[n], "a month"), *(Usd(curves[name][n]) for name in names)) for n in shown),
        sums=(),
        notes=(*(notes or ["no crossing in this range"]), *shared_notes(ends)),
        document={
            "version": 1,
            "stack": pricing.stack,
            "queriesPerMonth": [f"{x:f}" for x in xs],
            "monthlyUsd": {name: [exact(usd) for usd in found] for name, found in curves.items()},
            "crossings": [{"between": [one, other], "queriesPerMonth": f"{x:f}"} for one, other, x in crossings],
            "limits": {
                name: [{"what": limit.what, "queriesPerMonth": f"{limit.queries:.0f}"} for limit in found]
                for name, found in capacity.items()
            },
        },
        incomplete=tuple(dict.fromkeys(each for found in ends.values() for each in found.incomplete)),
        charts=(
            Curves(
                "USD a month by queries a month",
                "queries a month",
                {name: tuple(zip(xs, found, strict=True)) for name, found in curves.items()},
            ),
        ),
    )


def _total(pricing: Pricing, at: Situation, queries: Decimal) -> Decimal:
    return pricing.price(at, at.usage.having(**{FIGURE: queries})).totals.monthly


def _crossings(
    pricing: Pricing, stacks: Mapping[str, Situation], xs: Sequence[Decimal], curves: Mapping[str, Sequence[Decimal]]
) -> Iterator[tuple[str, str, Decimal]]:
    for one, other in combinations(stacks, 2):
        ahead = [a - b for a, b in zip(curves[one], curves[other], strict=True)]
        for (left, x), (right, y) in pairwise(zip(ahead, xs, strict=True)):
            if left * right < 0:
                yield one, other, _solved(pricing, stacks[one], stacks[other], x, y)


def _solved(pricing: Pricing, one: Situation, other: Situation, low: Decimal, high: Decimal) -> Decimal:
    """Bisection: the curves are continuous and cross once between two neighbouring points."""
    begin = _total(pricing, one, low) > _total(pricing, other, low)
    while high - low > CLOSE:
        middle = (low + high) // 2
        if (_total(pricing, one, middle) > _total(pricing, other, middle)) == begin:
            low = middle
        else:
            high = middle
    return high
