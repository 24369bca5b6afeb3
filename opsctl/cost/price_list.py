"""Reads what the AWS price list answers: exactly one positive price for a product, or an error that says why not.

The traps are AWS's: reserved terms at 0.00 that stand under `OnDemand`, surcharges and twins whose usage types only
look alike, tiers in any order, and prices as text.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from opsctl.cost.catalog import Price
from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from opsctl.cost.offers import Offer

END = "Inf"


def price_of(key: str, offer: Offer, items: Iterable[str], *, region: str, unit: str) -> Price:
    """The catalog's row of `key` from the items of `GetProducts`, each a JSON text.

    Raises:
        CheckFailed: no product fits, or several, or the one has no single price.
    """
    fitting = [item for item in map(json.loads, items) if _fits(item, offer, region)]
    terms = [(item, term) for item in fitting for term in _on_demand(item)]
    if len(terms) != 1:
        raise _unclear(key, f"{len(terms)} products fit {offer.usage_type} of {offer.service} in {region}")
    ((item, term),) = terms
    try:
        return _row(item, term, unit)
    except (KeyError, ValueError, ValidationError) as exc:
        raise _unclear(key, f"its price is not one that can be read ({exc})") from exc


def _fits(item: Mapping[str, Any], offer: Offer, region: str) -> bool:
    attributes = item["product"]["attributes"]
    return attributes.get("regionCode") == region and offer.covers(attributes.get("usagetype", ""))


def _on_demand(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Terms that are on demand indeed: with no lease and a price above 0."""
    terms = item.get("terms", {}).get("OnDemand", {}).values()
    return [term for term in terms if not term.get("termAttributes") and any(_positive(term))]


def _positive(term: Mapping[str, Any]) -> Iterable[bool]:
    return (Decimal(each["pricePerUnit"].get("USD", "0")) > 0 for each in term["priceDimensions"].values())


def _row(item: Mapping[str, Any], term: Mapping[str, Any], unit: str) -> Price:
    steps = sorted(term["priceDimensions"].values(), key=lambda each: Decimal(each["beginRange"]))
    paid = [each for each in steps if Decimal(each["pricePerUnit"]["USD"]) > 0]
    tiers = [
        {"usd": each["pricePerUnit"]["USD"]} | ({} if each["endRange"] == END else {"up_to": each["endRange"]})
        for each in paid
    ]
    price: dict[str, object] = {"usd": tiers[0]["usd"]} if len(tiers) == 1 else {"tiers": tiers}
    return Price.model_validate(
        {
            "unit": unit,
            **price,
            "as_of": dt.date.fromisoformat(term["effectiveDate"][:10]),
            "confidence": "A",
            "source": "AWS Price List",
            "sku": item["product"]["sku"],
        }
    )


def _unclear(key: str, why: str) -> CheckFailed:
    return CheckFailed(f"{key}: {why}", next_step="correct its offer, or keep the row as it is")
