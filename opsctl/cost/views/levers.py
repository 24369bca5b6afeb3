"""What would make a stack cheaper: each lever priced by running the program with it, and its cost in quality."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from opsctl.cost.views import bill
from opsctl.errors import NotUsable
from opsctl.sheet import Bars, Column, Sheet, Usd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsctl.cost.pricing import Pricing
    from opsctl.cost.report import Report
    from opsctl.sheet import Cell

COLUMNS = (Column("lever"), Column("saves USD", figures=True), Column("what it costs"))
HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Lever:
    """A change of the config, or of the use, or neither where only a quote could tell."""

    name: str
    price: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Decimal] = field(default_factory=dict)
    scaled: Mapping[str, Decimal] = field(default_factory=dict)
    quotes: Mapping[str, Decimal] = field(default_factory=dict)
    asks: str | None = None


LEVERS = (
    Lever(
        "scale the endpoint to zero",
        "each wake fails requests for some minutes; saves nothing under steady traffic",
        {"generation": {"scaling": {"min": 0}}},
    ),
    Lever(
        "smaller GPU, ml.g5.xlarge",
        "half the host memory and CPU, the same GPU: check loading and tokens/s",
        {"generation": {"instanceType": "ml.g5.xlarge"}},
    ),
    Lever(
        "quantised model on ml.g6.xlarge",
        "a little accuracy: run your golden questions first",
        {"generation": {"quantization": "awq", "instanceType": "ml.g6.xlarge"}},
    ),
    Lever("Fargate Spot", "tasks are stopped with two minutes' notice", {"ecs": {"capacity": "fargate-spot"}}),
    Lever("ARM tasks", "the image must be built for arm64", {"service": {"architecture": "arm64"}}),
    Lever(
        "EC2 instead of Fargate, t3.large",
        "instances to patch, slower to grow",
        {"ecs": {"capacity": "ec2", "instanceType": "t3.large"}},
    ),
    Lever("one NAT gateway", "a lost zone cuts the others off", {"network": {"nat": "single"}}),
    Lever("self-hosted Qdrant", "you run and back up a database", {"retrieval": {"qdrant": "self-hosted"}}),
    Lever(
        "free tiers of Qdrant Cloud and Atlas",
        "1 GB of vectors, 512 MB of documents, shared machines, no backups",
        quotes={"qdrant_cloud_usd_per_month": Decimal(), "atlas_usd_per_month": Decimal()},
    ),
    Lever("half of all answers cached", "stale answers up to the cache's TTL", figures={"cache_hit_share": HALF}),
    Lever(
        "prompts half as long",
        "fewer or shorter chunks: recall falls",
        scaled={"generation_input_tokens_per_query": HALF, "query_model_input_tokens_per_query": HALF},
    ),
    Lever(
        "batch API",
        "answers within a day: for summaries and evaluation, not for queries",
        asks="no query can wait: it saves on offline work alone, which is not in this report",
    ),
    Lever(
        "savings plans, reserved instances",
        "one or three years of commitment",
        asks="discounts are no list prices: put your quote beside this report",
    ),
)


def sheet(pricing: Pricing) -> Sheet:
    """The levers that save something, the largest first, then those that don't or can't.

    Raises:
        NotUsable: the stack's own config is wrong.
    """
    base = pricing.report()
    found = [(lever, *_saving(pricing, base, lever)) for lever in LEVERS]
    found.sort(key=lambda each: -(each[1] or Decimal()))
    rows: list[tuple[Cell, ...]] = [
        (lever.name, "-" if saved is None else Usd(saved), why or lever.price) for lever, saved, why in found
    ]
    return Sheet(
        title=f"stack {pricing.stack}: {Usd(base.totals.monthly)} USD a month, and what each lever alone would save",
        columns=COLUMNS,
        rows=tuple(rows),
        sums=(),
        notes=("levers overlap: their savings don't add up", *bill.notes(base)),
        document={
            "version": 1,
            "stack": pricing.stack,
            "monthlyUsd": bill.exact(base.totals.monthly),
            "levers": [
                {"name": lever.name, "savesUsd": bill.exact(saved), "costs": lever.price, "why": why}
                for lever, saved, why in found
            ],
        },
        incomplete=base.incomplete,
        charts=(Bars("saves USD a month", {lever.name: saved for lever, saved, _ in found if saved and saved > 0}),),
    )


def _saving(pricing: Pricing, base: Report, lever: Lever) -> tuple[Decimal | None, str]:
    """USD a month, and why there is no figure."""
    if lever.asks is not None:
        return None, lever.asks
    usage = pricing.usage
    figures = {**lever.figures, **{name: usage.amount(name) * factor for name, factor in lever.scaled.items()}}
    try:
        at = pricing.situation(lever.changes)
    except NotUsable as exc:
        return None, f"not for this stack: {exc.problem}"
    then = pricing.price(at, usage.having(**figures).quoting(**lever.quotes))
    missing = [each for each in then.incomplete if each not in base.incomplete]
    if missing:
        return None, f"can't be priced: {'; '.join(missing)}"
    return base.totals.monthly - then.totals.monthly, ""
