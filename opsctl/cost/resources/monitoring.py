"""What watching costs: alarms, and the metrics that the service makes itself."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from opsctl.cost.components import Component, Situation, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.offline import Declared

MIB_PER_GIB = 1024


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


def events(rule: Declared, at: Situation) -> Iterator[Component]:
    """The runs of the function that a schedule calls; one that waits for trouble is not called at all."""
    when = re.fullmatch(r"rate\((\d+) minutes?\)", str(rule.inputs.get("scheduleExpression", "")))
    if when is None:
        return
    made = at.program.one("lambda/function:Function", rule.name.removesuffix("-clock"))
    runs = at.hours * 60 / Decimal(when[1])
    of = partial(Component, resource=made.name, part="monitoring")
    gib = number(made.inputs, "memorySize") / MIB_PER_GIB
    yield of(name=f"runs, each {when[1]} minutes", price_key="lambda.request", quantity=runs, unit="request")
    yield of(
        name="run time",
        price_key="lambda.arm.gb_second",
        quantity=runs * gib * at.usage.amount("own_function_seconds"),
        unit="GB-second",
        assumption=at.usage.because("own_function_seconds"),
    )


PUSHED = 9  # by each stack's edges: seven counts and latencies of their service, two of the stack's own functions


def dashboard(page: Declared, at: Situation) -> Iterator[Component]:
    """A page, looked at or not, and the stack's metrics that come by no log group of its service."""
    metric = partial(
        Component, resource=page.name, part="monitoring", price_key="cloudwatch.metric_month", unit="metric-month"
    )
    if edges := _watched_by_name(at, "Host"):
        yield metric(name="metrics that edges push", quantity=Decimal(PUSHED + edges))
    if stores := _watched_by_name(at, "Store"):
        yield metric(name="metrics of stores", quantity=Decimal(stores))
    yield Component(
        resource=page.name,
        part="monitoring",
        name="dashboard",
        price_key="cloudwatch.dashboard_month",
        quantity=Decimal(1),
        unit="dashboard-month",
    )


def _watched_by_name(at: Situation, dimension: str) -> int:
    """How many metrics in the stack's own namespace carry a dimension, as its alarms say."""
    found = set()
    for alarm in at.program.of("MetricAlarm"):
        plain = [alarm.inputs] if "metricName" in alarm.inputs else []
        for each in (
            *plain,
            *(query["metric"] for query in alarm.inputs.get("metricQueries") or () if "metric" in query),
        ):
            own = str(each["namespace"]).startswith("rag-platform/")
            if own and dimension in (each.get("dimensions") or {}):
                found.add((each["metricName"], *sorted(each["dimensions"].items())))
    return len(found)
