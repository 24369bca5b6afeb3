"""The deployment guide's own cost tables beside what the same things cost by the catalog."""

from __future__ import annotations

from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from opsctl.cost.report import warnings
from opsctl.cost.views.bill import exact
from opsctl.sheet import Column, Sheet, Usd

if TYPE_CHECKING:
    import datetime as dt

    from opsctl.cost.catalog import Catalog, Price
    from opsctl.sheet import Cell

COLUMNS = (
    Column("what"),
    Column("guide USD", figures=True),
    Column("true USD", figures=True),
    Column("why"),
)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    usd: Decimal
    parts: dict[str, Decimal]
    why: str


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str
    rows: tuple[_Row, ...]


class _Guide(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    tables: tuple[_Table, ...]


def sheet(prices: Catalog, today: dt.date) -> Sheet:
    """The guide's tables one below the other, each with its total, priced in the region of the catalog."""
    text = files("opsctl.cost").joinpath("guide.yaml").read_text(encoding="utf-8")
    tables = _Guide.model_validate(YAML(typ="safe", pure=True).load(text)).tables
    unpriced = dict.fromkeys(row.what for table in tables for row in table.rows if _true(row, prices) is None)
    incomplete = tuple(f"no price of {what}" for what in unpriced)
    return Sheet(
        title=f"the deployment guide's tables and the catalog of {prices.region}, USD a month",
        columns=COLUMNS,
        rows=tuple(row for table in tables for row in _shown(table, prices)),
        sums=(),
        notes=(
            *(f"incomplete: {each}" for each in incomplete),
            *(f"warning: {each}" for each in warnings(_used(tables, prices), today)),
        ),
        document={
            "version": 1,
            "region": prices.region,
            "tables": [_document(table, prices) for table in tables],
        },
        incomplete=incomplete,
    )


def _shown(table: _Table, prices: Catalog) -> list[tuple[Cell, ...]]:
    said, true = _totals(table, prices)
    return [
        *((row.what, Usd(row.usd), Usd(_true(row, prices)), row.why) for row in table.rows),
        (f"TOTAL {table.of}", Usd(said), Usd(true), "what has no price is not in the true total"),
    ]


def _document(table: _Table, prices: Catalog) -> dict[str, object]:
    said, true = _totals(table, prices)
    return {
        "of": table.of,
        "rows": [
            {"what": row.what, "guideUsd": exact(row.usd), "trueUsd": exact(_true(row, prices)), "why": row.why}
            for row in table.rows
        ],
        "totals": {"guideUsd": exact(said), "trueUsd": exact(true)},
    }


def _totals(table: _Table, prices: Catalog) -> tuple[Decimal, Decimal]:
    """What the guide says, and what is priced."""
    true = (_true(row, prices) or Decimal() for row in table.rows)
    return sum((row.usd for row in table.rows), Decimal()), sum(true, Decimal())


def _used(tables: tuple[_Table, ...], prices: Catalog) -> dict[str, Price]:
    found = {key: prices.find(key) for table in tables for row in table.rows for key in row.parts}
    return {key: price for key, price in found.items() if price is not None}


def _true(row: _Row, prices: Catalog) -> Decimal | None:
    found = [(prices.find(key), quantity) for key, quantity in row.parts.items()]
    if not found or any(price is None for price, _ in found):
        return None
    return sum((price.of(quantity) for price, quantity in found if price is not None), Decimal())
