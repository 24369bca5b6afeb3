"""What is paid for by the hour as it is now, line by line, at list prices."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HOURS_PER_MONTH = Decimal(730)


@dataclass(frozen=True, slots=True)
class Bill:
    """So many units of a price of the catalog; USD an hour, None where the catalog has no such price."""

    key: str
    units: Decimal
    usd_per_hour: Decimal | None


def bills(running: Mapping[str, Decimal], by_key: Mapping[str, Decimal]) -> tuple[Bill, ...]:
    """The dearest first, those without a price before all."""
    found = [Bill(key, units, by_key[key] * units if key in by_key else None) for key, units in running.items()]
    return tuple(
        sorted(found, key=lambda bill: (bill.usd_per_hour is not None, -(bill.usd_per_hour or Decimal(0)), bill.key))
    )


def in_all(found: tuple[Bill, ...]) -> Decimal:
    """USD an hour of what has a price."""
    return sum((bill.usd_per_hour for bill in found if bill.usd_per_hour is not None), Decimal(0))
