"""The same use on several topologies, side by side; models stand below, or they hide every difference."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.cost.report import LLM
from opsctl.cost.views import bill
from opsctl.sheet import Bars, Column, Sheet, Usd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsctl.cost.pricing import Pricing
    from opsctl.cost.report import Report
    from opsctl.sheet import Cell


def sheet(pricing: Pricing, names: Sequence[str]) -> Sheet:
    """One column for each topology of `names`.

    Raises:
        NotUsable: one is unknown, or the stack's config is wrong with it.
    """
    reports = {name: pricing.price(pricing.on(name)) for name in names}
    by_part = {name: bill.parts(found) for name, found in reports.items()}
    own = [part for part in dict.fromkeys(part for sums in by_part.values() for part in sums) if part not in LLM]
    rows = [_row(part, {name: by_part[name].get(part, Decimal()) for name in names}) for part in own]
    first = next(iter(reports.values()))
    return Sheet(
        title=f"stack {pricing.stack} on {', '.join(names)} in {first.region}, USD a month",
        columns=(Column("part"), *(Column(name, figures=True) for name in names)),
        rows=tuple(rows),
        sums=_sums(reports),
        notes=bill.shared_notes(reports),
        document={
            "version": 1,
            "stack": pricing.stack,
            "partsUsd": {name: {part: bill.exact(usd) for part, usd in sums.items()} for name, sums in by_part.items()},
            "topologies": {name: bill.document(found) for name, found in reports.items()},
        },
        incomplete=tuple(f"{name}: {what}" for name, found in reports.items() for what in found.incomplete),
        charts=(
            Bars("USD a month without models", {name: found.totals.without_llm for name, found in reports.items()}),
            Bars("USD a month in all", {name: found.totals.monthly for name, found in reports.items()}),
        ),
    )


def _row(label: str, amounts: Mapping[str, Decimal]) -> tuple[Cell, ...]:
    return (label, *(Usd(amount) for amount in amounts.values()))


def _sums(reports: Mapping[str, Report]) -> tuple[tuple[Cell, ...], ...]:
    whole = "total of what is priced" if any(found.incomplete for found in reports.values()) else "total"
    per_query = (
        "no query" if found.totals.per_query is None else Usd(found.totals.per_query, digits=6)
        for found in reports.values()
    )
    return (
        _row("without models", {name: found.totals.without_llm for name, found in reports.items()}),
        _row("models", {name: found.totals.llm for name, found in reports.items()}),
        _row(whole, {name: found.totals.monthly for name, found in reports.items()}),
        ("per query", *per_query),
    )
