"""The Lambda function that says what the stack costs now, by the hour: Cost Explorer knows it a day later.

What is paid by the hour is counted where it runs; what callers cause is the service's own sum. Traffic, storage and
requests are in the monthly budget alone.
"""

from __future__ import annotations

import sys
from typing import Any

from opsctl.aws.running import Running
from opsctl.functions import emf
from opsctl.functions.cost_rate.rate import prices, rate
from opsctl.functions.cost_rate.settings import load


def handler(event: dict[str, Any], context: Any) -> dict[str, object]:  # noqa: ARG001, ANN401 - Lambda's own
    """Count, price, write the metric."""
    settings = load()
    cloud = Running.open(settings.region, settings.stack)
    found = rate(cloud.by_price(settings.endpoint), cloud.spent_usd(settings.namespace), prices(settings.region))
    metrics = {"hourly_cost_usd": float(found.usd), "unpriced_resources": float(len(found.unpriced))}
    sys.stdout.write(emf.line(settings.namespace, metrics, unpriced=list(found.unpriced)) + "\n")
    return {"usd": f"{found.usd:f}", "unpriced": list(found.unpriced)}
