"""What a view hands to a renderer: cells that keep their exact value, so that every format shows the same figure."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CENT = Decimal("0.01")
UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True)
class Usd:
    """An amount of money; None where it is not known."""

    value: Decimal | None
    digits: int = 2

    def __str__(self) -> str:
        """Rounded half up, as people read it."""
        if self.value is None:
            return UNPRICED
        return f"{self.value.quantize(Decimal(1).scaleb(-self.digits), ROUND_HALF_UP):,}"


@dataclass(frozen=True, slots=True)
class Rate(Usd):
    """A price per unit, as many digits as it has."""

    def __str__(self) -> str:
        """Unrounded up to ten decimals."""
        if self.value is None:
            return UNPRICED
        return f"{self.value.quantize(Decimal('1e-10'), ROUND_HALF_UP).normalize():,f}"


@dataclass(frozen=True, slots=True)
class Quantity:
    """So many of a unit."""

    value: Decimal
    unit: str

    def __str__(self) -> str:
        """Two decimals at the most."""
        return f"{self.value.quantize(CENT, ROUND_HALF_UP).normalize():,f} {self.unit}"


Cell = str | Usd | Quantity


@dataclass(frozen=True, slots=True)
class Column:
    """A column; a detail is left out where there is little room."""

    name: str
    figures: bool = False
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """Amounts to compare by length: label -> USD."""

    title: str
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines: name -> (x, y) points; over an axis that is logarithmic unless it starts at 0, as time does."""

    title: str
    x_label: str
    lines: Mapping[str, tuple[tuple[Decimal, Decimal], ...]]
    logarithmic: bool = True


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table with what a reader must know of it.

    Attributes:
        sums: rows below the others; cells as in `columns`.
        document: the same as JSON, a public contract.
        incomplete: why the figures are not whole.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sums: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]
    document: Mapping[str, object]
    incomplete: tuple[str, ...] = ()
    charts: tuple[Bars | Curves, ...] = field(default=())

    def narrow(self) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]], list[tuple[Cell, ...]]]:
        """Columns, rows and sums without the details."""
        kept = [number for number, column in enumerate(self.columns) if not column.detail]
        columns = tuple(self.columns[number] for number in kept)
        rows, sums = ([tuple(row[number] for number in kept) for row in part] for part in (self.rows, self.sums))
        return columns, rows, sums
