"""Items as the AWS price list spells them: JSON texts, terms inside."""

from __future__ import annotations

import json
from typing import Any


def item(sku: str, usage_type: str, *prices: str, region: str = "eu-west-1", **more: Any) -> str:
    """One product; prices are tiers of 100 units each, the last without an end."""
    dimensions = {
        f"{sku}.T.{n}": {
            "unit": "Hrs",
            "beginRange": str(n * 100),
            "endRange": "Inf" if n == len(prices) - 1 else str((n + 1) * 100),
            "pricePerUnit": {"USD": price},
        }
        for n, price in reversed(list(enumerate(prices)))
    }
    terms = {f"{sku}.T": {"effectiveDate": "2026-11-01T00:00:00Z", "termAttributes": {}, "priceDimensions": dimensions}}
    attributes = {"regionCode": region, "usagetype": usage_type, **more.get("attributes", {})}
    return json.dumps(
        {
            "product": {"sku": sku, "productFamily": more.get("family", "Compute"), "attributes": attributes},
            "terms": {"OnDemand": terms | more.get("terms", {})},
        }
    )


def reserved(sku: str) -> dict[str, Any]:
    """A term that stands under OnDemand and is paid by a reservation."""
    dimension = {"unit": "Hrs", "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": "0.0000000000"}}
    return {
        f"{sku}.R": {
            "effectiveDate": "2026-11-01T00:00:00Z",
            "termAttributes": {"LeaseContractLength": "1yr"},
            "priceDimensions": {f"{sku}.R.0": dimension},
        }
    }
