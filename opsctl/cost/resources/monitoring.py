"""What watching costs: alarms, and the metrics that the service makes itself."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.cost.components import Component, Situation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.offline import Declared


def alarm(watch: Declared, at: Situation) -> Iterator[Component]:
    """An alarm is paid for each metric that it reads."""
    del at
    queries = watch.inputs.get("metricQueries") or ()
    metrics = sum(1 for each in queries if "metric" in each) or 1
    yield Component(
        resource=watch.name,
        part="monitoring",
        name=f"alarm over {metrics} metric{'s' if metrics > 1 else ''}",
        price_key="cloudwatch.alarm_month",
        quantity=Decimal(metrics),
        unit="alarm-month",
    )


def composite(watch: Declared, at: Situation) -> Iterator[Component]:
    """An alarm over alarms, whatever their number."""
    del at
    yield Component(
        resource=watch.name,
        part="monitoring",
        name="composite alarm",
        price_key="cloudwatch.composite_alarm_month",
        quantity=Decimal(1),
        unit="alarm-month",
    )


def metrics(group: Declared, at: Situation) -> Iterator[Component]:
    """The metrics that CloudWatch makes of the service's lines, each combination of dimensions for itself."""
    yield Component(
        resource=group.name,
        part="monitoring",
        name="metrics of the service",
        price_key="cloudwatch.metric_month",
        quantity=at.usage.amount("service_metrics"),
        unit="metric-month",
        assumption=at.usage.because("service_metrics"),
    )
