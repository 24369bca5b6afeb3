"""A metric as a line of a function's log, in the Embedded Metric Format: no call, no permission."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE = "rag-platform"


def line(namespace: str, metrics: Mapping[str, float], **properties: object) -> str:
    """One line with these metrics; `properties` are in it to be read, and no dimensions."""
    units = [{"Name": name, "Unit": "Milliseconds" if name.endswith("_ms") else "None"} for name in metrics]
    directive = {"Namespace": namespace, "Dimensions": [["Service"]], "Metrics": units}
    document = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
        "Service": SERVICE,
        **properties,
        **metrics,
    }
    return json.dumps(document, separators=(",", ":"))
