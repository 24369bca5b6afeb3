"""What AWS gives each account for nothing in a month. Off unless asked for: other stacks of the account use it too."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opsctl.cost.components import Component

# AWS's free tier pages, read 2026-11-22; amounts in the units of the prices.
ALLOWANCES = {
    "egress.internet.gb": Decimal(100),
    "cloudwatch.alarm_month": Decimal(10),
    "cloudwatch.dashboard_month": Decimal(3),
    "cloudwatch.metric_month": Decimal(10),
    "cloudwatch.logs.ingest_gb": Decimal(5),
    "lambda.request": Decimal(1_000_000),
    "lambda.x86.gb_second": Decimal(400_000),
    "lambda.arm.gb_second": Decimal(400_000),
}


def without(components: Iterable[Component]) -> Iterator[Component]:
    """The components less what is free, in their order: an allowance is used up by the first that need it."""
    left = dict(ALLOWANCES)
    for component in components:
        free = min(left.get(component.price_key, Decimal()), component.quantity)
        if not free:
            yield component
            continue
        left[component.price_key] -= free
        note = f"{free.normalize():f} {component.unit} of the account's free allowance taken off"
        assumption = f"{component.assumption}; {note}" if component.assumption else note
        yield replace(component, quantity=component.quantity - free, assumption=assumption)
