"""Spells widgets as the JSON of a CloudWatch dashboard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pulumi

from infra.components.observability.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.observability.widgets import Series, Widget

ERRORS = (
    "fields @timestamp, route, status, error, detail, request_id"
    " | filter status >= 500 | sort @timestamp desc | limit 20"
)
WIDTH, HEIGHT, ROW = 8, 6, 24


def body(
    widgets: Sequence[Widget], region: str, *, alarms: Sequence[pulumi.Input[str]], log_group: pulumi.Input[str] | None
) -> dict[str, Any]:
    """The whole dashboard: alarms on top, widgets in rows of three, the last errors at the bottom."""
    top = {
        "type": "alarm",
        "x": 0,
        "y": 0,
        "width": ROW,
        "height": 3,
        "properties": {"title": "Alarms", "alarms": list(alarms)},
    }
    placed = [_placed(widget, number, region) for number, widget in enumerate(widgets)]
    below = 3 + HEIGHT * -(-len(widgets) // (ROW // WIDTH))
    last = [] if log_group is None else [_log(log_group, below, region)]
    return {"widgets": [top, *placed, *last]}


def _placed(widget: Widget, number: int, region: str) -> dict[str, Any]:
    a_row = ROW // WIDTH
    properties: dict[str, Any] = {
        "title": widget.title,
        "view": "timeSeries",
        "region": region,
        "period": 60,
        "metrics": [line for count, series in enumerate(widget.series) for line in _lines(series, count)],
    }
    if widget.line is not None:
        properties["annotations"] = {"horizontal": [{"label": "threshold", "value": widget.line}]}
    return {
        "type": "metric",
        "x": WIDTH * (number % a_row),
        "y": 3 + HEIGHT * (number // a_row),
        "width": WIDTH,
        "height": HEIGHT,
        "properties": properties,
    }


def _lines(series: Series, number: int) -> list[list[Any]]:
    of = series.of
    if isinstance(of, Metric):
        return [_metric(of, {"label": series.label})]
    # ids are of the whole widget
    renamed = {name: f"s{number}{name}" for name in of.of}
    expression = of.expression
    for name in sorted(of.of, key=len, reverse=True):
        expression = _renamed(expression, name, renamed[name])
    hidden = [_metric(metric, {"id": renamed[name], "visible": False}) for name, metric in of.of.items()]
    return [*hidden, [{"expression": expression, "label": series.label, "id": f"s{number}"}]]


def _renamed(expression: str, name: str, new: str) -> str:
    return re.sub(rf"\b{name}\b", new, expression)


def _metric(metric: Metric, options: dict[str, Any]) -> list[Any]:
    dimensions = [part for pair in metric.dimensions.items() for part in pair]
    return [metric.namespace, metric.name, *dimensions, {"stat": metric.stat, "period": metric.period_s, **options}]


def _log(group: pulumi.Input[str], y: int, region: str) -> dict[str, Any]:
    return {
        "type": "log",
        "x": 0,
        "y": y,
        "width": ROW,
        "height": HEIGHT,
        "properties": {
            "title": "Last errors",
            "region": region,
            "view": "table",
            "query": pulumi.Output.concat("SOURCE '", group, "' | ", ERRORS),
        },
    }
