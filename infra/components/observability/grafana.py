"""Spells the same widgets as a Grafana dashboard, for who scrapes /metrics: Kubernetes, an edge.

`python -m infra.components.observability.grafana > docs/grafana.json` writes it; a test holds the file equal.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra.components.observability.widgets import service_widgets

if TYPE_CHECKING:
    from infra.components.observability.widgets import Widget

WIDTH, HEIGHT, ROW = 8, 8, 24
SOURCE = {"type": "prometheus", "uid": "${source}"}
SCHEMA = 39  # of Grafana 11
P95_S, ERROR_PERCENT = 10.0, 5.0  # the guide's


def dashboard() -> dict[str, Any]:
    """A dashboard that any Grafana imports; it asks for its Prometheus."""
    shown = [each for each in service_widgets("rag-platform", P95_S, ERROR_PERCENT) if each.prometheus]
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "rag-platform",
        "title": "rag-platform",
        "schemaVersion": SCHEMA,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "tags": ["rag-platform"],
        "templating": {"list": [source]},
        "panels": [_panel(widget, number) for number, widget in enumerate(shown)],
    }


def _panel(widget: Widget, number: int) -> dict[str, Any]:
    a_row = ROW // WIDTH
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if widget.line is not None:
        steps.append({"color": "red", "value": widget.line})
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": widget.title,
        "datasource": SOURCE,
        "gridPos": {"x": WIDTH * (number % a_row), "y": HEIGHT * (number // a_row), "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {
            "defaults": {
                "unit": widget.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": {"thresholdsStyle": {"mode": "line" if widget.line is not None else "off"}},
            },
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": query, "legendFormat": label}
            for place, (label, query) in enumerate(widget.prometheus)
        ],
    }


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1))  # noqa: T201 - its result
