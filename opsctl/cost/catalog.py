"""The price catalog: one YAML file per region beside this module, dated row by row; works without a network.

A key that a region's file lacks is unpriced: it is never taken from another region and never 0.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.resources.abc import Traversable

GLOBAL = "global"  # vendors whose prices know no region
STALE_DAYS = 100


def _as_written(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise ValueError("is no amount of money")
    return value


Usd = Annotated[Decimal, Field(ge=0), AfterValidator(_as_written)]


class Tier(BaseModel):
    """A unit price up to a quantity; the last tier has no end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: Usd
    up_to: Annotated[Decimal, Field(gt=0)] | None = None


class Price(BaseModel):
    """One row: USD per unit, in one tier or several, where it was read and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str
    usd: Usd | None = None
    tiers: tuple[Tier, ...] = ()
    as_of: dt.date
    confidence: Literal["A", "B", "C"]
    source: str
    sku: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.usd is None) == (not self.tiers):
            raise ValueError("needs either usd or tiers")
        ends = [tier.up_to for tier in self.tiers]
        if ends and (ends[-1] is not None or any(end is None for end in ends[:-1])):
            raise ValueError("the last tier, and only the last, has no up_to")
        bounds = [end for end in ends if end is not None]
        if any(low >= high for low, high in pairwise(bounds)):
            raise ValueError("up_to must rise from tier to tier")
        return self

    @property
    def steps(self) -> tuple[Tier, ...]:
        """The tiers, also of a price that has only one."""
        return self.tiers or (Tier(usd=self.usd or Decimal()),)

    def of(self, quantity: Decimal) -> Decimal:
        """USD for `quantity` units, unrounded: each tier's part at its own price."""
        total, begin = Decimal(), Decimal()
        for tier in self.steps:
            end = quantity if tier.up_to is None else min(quantity, tier.up_to)
            total += max(Decimal(), end - begin) * tier.usd
            begin = end
        return total

    def stale(self, today: dt.date) -> bool:
        """Older than 100 days."""
        return (today - self.as_of).days > STALE_DAYS


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    region: str
    currency: Literal["USD"]
    prices: dict[str, Price]


@dataclass(frozen=True, slots=True)
class Catalog:
    """The prices of one region, and those that know none."""

    region: str
    prices: Mapping[str, Price]

    def find(self, key: str) -> Price | None:
        """The row of `key`; None where it is unpriced."""
        return self.prices.get(key)


def regions() -> list[str]:
    """Regions that have a file."""
    return sorted(each.name.removesuffix(".yaml") for each in _folder().iterdir() if each.name.endswith(".yaml"))


@cache
def load(region: str) -> Catalog:
    """The catalog of `region`.

    Raises:
        NotUsable: there is no file for it, or one is damaged.
    """
    known: Iterable[str] = [each for each in regions() if each != GLOBAL]
    if region not in known:
        raise NotUsable(
            f"no prices for region '{region}'; there are {', '.join(known)}",
            next_step="give one of them with --region, or read its prices: "
            f"`opsctl prices refresh --region {region} --write`",
        )
    return Catalog(region, {**rows(GLOBAL), **rows(region)})


@cache
def rows(name: str) -> dict[str, Price]:
    """The rows of one file.

    Raises:
        NotUsable: it is damaged.
    """
    source = _folder().joinpath(f"{name}.yaml")
    try:
        found = _File.model_validate(YAML(typ="safe", pure=True).load(source.read_text(encoding="utf-8")))
    except (OSError, YAMLError, ValidationError) as exc:
        raise NotUsable(f"{source}: {exc}", next_step="restore the file from version control") from exc
    return found.prices


def _folder() -> Traversable:
    return files("opsctl.cost").joinpath("prices")
