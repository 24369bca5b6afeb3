"""A component: one quantity of one resource, waiting for its price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from opsctl.cost.usage import ABSURD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.config import StackConfig
    from infra.offline import Declared, Program
    from opsctl.cost.usage import Usage

KIB_PER_GIB = 1024 * 1024
Kind = Literal["fixed", "usage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """What is multiplied with a price.

    Attributes:
        resource: logical name in the stack, or what the stack's config calls it.
        part: of the bill: service, network, model, ...
        quantity: per month, in `unit`.
        kind: `fixed` is paid with no query at all.
        assumption: the figures behind the quantity, empty where it is declared.
        quoted: the unit price where it is yours and not in the catalog.
    """

    resource: str
    part: str
    name: str
    price_key: str
    quantity: Decimal
    unit: str
    kind: Kind = "fixed"
    assumption: str = ""
    quoted: Decimal | None = None

    @property
    def id(self) -> str:
        """Names the component in a report."""
        return f"{self.resource}/{self.price_key}"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a quantity depends on besides the resource itself."""

    cfg: StackConfig
    program: Program
    usage: Usage

    @property
    def hours(self) -> Decimal:
        """Of a month."""
        return self.usage.amount("hours_per_month")

    @property
    def queries(self) -> Decimal:
        """In a month."""
        return self.usage.amount("queries_per_month")

    def one_of(self, kind: str) -> Declared | None:
        """The only resource of a type; None where there is none."""
        found = self.program.of(kind)
        return found[0] if found else None


def number(inputs: Mapping[str, Any], key: str, default: object = None) -> Decimal:
    """A numeric input, exactly; the engine hands over floats and strings alike.

    Raises:
        ValueError: it is missing and has no default, or is no amount: a preview holds marks for what it can't know yet.
    """
    value = inputs.get(key, default)
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and 0 <= amount <= ABSURD):
        raise ValueError(f"{key} is {_shown(value)}, and not an amount")
    return amount


def count(inputs: Mapping[str, Any], key: str) -> int:
    """The length of an input that is a list, which may hold what isn't known yet.

    Raises:
        ValueError: it is missing or no list.
    """
    value = inputs.get(key)
    if value is None or isinstance(value, (str, int, float)):
        raise ValueError(f"{key} is {_shown(value)}, and not a list")
    return len(value)


def _shown(value: object) -> str:
    """What stands in a file of the engine's; a structure is not shown, since it may wrap a secret."""
    if value is None:
        return "missing"
    return repr(value) if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
