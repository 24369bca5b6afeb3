"""The deployment guide's own cost table beside what the same things cost by the catalog."""

from __future__ import annotations

from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from opsctl.cost.report import warnings
from opsctl.cost.sheet import Column, Sheet, Usd
from opsctl.cost.views.bill import exact

if TYPE_CHECKING:
    import datetime as dt

    from opsctl.cost.catalog import Catalog, Price

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

    version: Literal[1]
    rows: tuple[_Row, ...]


def sheet(prices: Catalog, today: dt.date) -> Sheet:
    """One row for each of the guide's, priced in the region of the catalog."""
    text = files("opsctl.cost").joinpath("guide.yaml").read_text(encoding="utf-8")
    table = _Table.model_validate(YAML(typ="safe", pure=True).load(text))
    rows = [(row, _true(row, prices)) for row in table.rows]
    known = [usd for _, usd in rows if usd is not None]
    said = sum((row.usd for row, _ in rows), Decimal())
    return Sheet(
        title=f"the deployment guide's table and the catalog of {prices.region}, USD a month",
        columns=COLUMNS,
        rows=tuple((row.what, Usd(row.usd), Usd(usd), row.why) for row, usd in rows),
        sums=(("total", Usd(said), Usd(sum(known, Decimal())), "what has no price is not in the true total"),),
        notes=tuple(f"warning: {each}" for each in warnings(_used(table, prices), today)),
        document={
            "version": 1,
            "region": prices.region,
            "rows": [
                {"what": row.what, "guideUsd": exact(row.usd), "trueUsd": exact(usd), "why": row.why}
                for row, usd in rows
            ],
            "totals": {"guideUsd": exact(said), "trueUsd": exact(sum(known, Decimal()))},
        },
    )


def _used(table: _Table, prices: Catalog) -> dict[str, Price]:
    found = {key: prices.find(key) for row in table.rows for key in row.parts}
    return {key: price for key, price in found.items() if price is not None}


def _true(row: _Row, prices: Catalog) -> Decimal | None:
    found = [(prices.find(key), quantity) for key, quantity in row.parts.items()]
    if not found or any(price is None for price, _ in found):
        return None
    return sum((price.of(quantity) for price, quantity in found if price is not None), Decimal())
