"""What an hour costs: what runs, times its list price; what has no price is counted and never taken for free. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Rate:
    """USD per hour, and the keys that the catalog lacks."""

    usd: Decimal
    unpriced: tuple[str, ...]


def prices(region: str) -> dict[str, Decimal]:
    """Price per hour by key, of the region's file; empty where there is none."""
    file = files("opsctl.cost").joinpath("prices", f"{region}.yaml")
    if not file.is_file():
        return {}
    rows = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))["prices"]
    return {key: Decimal(row["usd"]) for key, row in rows.items() if "usd" in row}


def rate(running: Mapping[str, Decimal], spent_usd: Decimal, by_key: Mapping[str, Decimal]) -> Rate:
    """`running` by price key, in units that are paid by the hour; `spent_usd` in the last hour on models' tokens."""
    known = {key: count for key, count in running.items() if key in by_key}
    usd = sum((by_key[key] * count for key, count in known.items()), spent_usd)
    return Rate(usd, tuple(sorted(running.keys() - known.keys())))
