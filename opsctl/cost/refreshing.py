"""Brings a region's file up to date with the price list, row by row; a row that can't be told is kept as it is."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from opsctl.cost import catalog
from opsctl.cost.offers import OFFERS, offer_of
from opsctl.cost.price_list import price_of
from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opsctl.cost.catalog import Price, Tier

FOLDER = Path(catalog.__file__).with_name("prices")
WIDTH = 4096  # a row stays on its line
FILLED = ("unit", "usd", "tiers", "as_of", "confidence", "source", "sku")


@dataclass(frozen=True, slots=True)
class Change:
    """A row before and after; `why` where it could not be told, and `after` is `before`."""

    key: str
    before: Price | None
    after: Price | None
    why: str = ""


def keys() -> list[str]:
    """Every key that a region may have."""
    regional = [name for name in catalog.regions() if name != catalog.GLOBAL]
    known = {key for name in regional for key in catalog.rows(name)}
    return sorted(known | OFFERS.keys())


def refreshed(region: str, fetch: Callable[[str, Mapping[str, str]], Iterable[str]]) -> list[Change]:
    """What the price list says of each key in `region`.

    Args:
        region: AWS's code.
        fetch: items of a service whose attributes are equal to the filters.
    """
    old = catalog.rows(region) if region in catalog.regions() else {}
    units = {key: price.unit for name in catalog.regions() for key, price in catalog.rows(name).items()}
    changes = []
    for key in keys():
        offer, before = offer_of(key), old.get(key)
        if offer is None:
            changes.append(Change(key, before, before, "the price list has no such product"))
            continue
        try:
            items = fetch(offer.service, {"regionCode": region, **offer.filters})
            after = price_of(key, offer, items, region=region, unit=units.get(key) or _unit(key))
        except CheckFailed as exc:
            changes.append(Change(key, before, before, exc.problem.removeprefix(f"{key}: ")))
            continue
        changes.append(Change(key, before, after))
    return changes


def text_of(region: str, changes: Iterable[Change]) -> str:
    """The region's file with the changes; comments and the order of old rows stay."""
    yaml = YAML()
    yaml.width = WIDTH
    yaml.preserve_quotes = True
    file = FOLDER / f"{region}.yaml"
    if file.exists():
        tree = yaml.load(file.read_text(encoding="utf-8"))
    else:
        tree = CommentedMap(version=1, region=region, currency="USD", prices=CommentedMap())
    for change in changes:
        if change.after is not None and change.after != change.before:
            tree["prices"][change.key] = _row(change.after)
    text = io.StringIO()
    yaml.dump(tree, text)
    return text.getvalue()


def write(region: str, text: str) -> Path:
    """Put the file in its place."""
    file = FOLDER / f"{region}.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def _row(price: Price) -> CommentedMap:
    """In the style of the rows that are there: one line, figures quoted so that no reader takes them for floats."""
    known = price.model_dump(exclude_none=True, exclude_defaults=True)
    row = _flow({name: known[name] for name in FILLED if name in known})
    row["source"] = DoubleQuotedScalarString(price.source)
    if price.usd is not None:
        row["usd"] = DoubleQuotedScalarString(f"{price.usd:f}")
    else:
        row["tiers"] = [_tier(tier) for tier in price.tiers]
    return row


def _tier(tier: Tier) -> CommentedMap:
    end = {} if tier.up_to is None else {"up_to": int(tier.up_to)}
    return _flow({**end, "usd": DoubleQuotedScalarString(f"{tier.usd:f}")})


def _flow(values: Mapping[str, object]) -> CommentedMap:
    row = CommentedMap(values)
    row.fa.set_flow_style()
    return row


def _unit(key: str) -> str:
    return key.rpartition(".")[2].replace("_", "-").replace("gb", "GB")
