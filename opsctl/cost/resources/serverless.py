"""What a function and the API before it cost."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from opsctl.cost.components import Component, Situation, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.offline import Declared

MIB_PER_GIB = 1024
SECONDS_PER_HOUR = 3600
FREE_TMP_MIB = 512
STREAMED_REQUEST_KIB = 10 * 1024  # AWS meters each 10 MB of a streamed answer as one request
FAMILIES = {"x86_64": "x86", "arm64": "arm"}


def function(made: Declared, at: Situation) -> Iterator[Component]:
    """Invocations, and their seconds times the memory; with warm instances at the lower rate that these have."""
    if not made.name.endswith("-function"):
        return  # one of the stack's own: priced with the rule that calls it
    (architecture,) = made.inputs.get("architectures") or ("x86_64",)
    gib = number(made.inputs, "memorySize") / MIB_PER_GIB
    seconds = at.queries * at.usage.amount("function_seconds_per_query")
    warm = at.one_of("lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig") is not None
    because = at.usage.because("queries_per_month", "function_seconds_per_query")
    of = partial(Component, resource=made.name, part="service", kind="usage", assumption=because)
    yield of(name="invocations", price_key="lambda.request", quantity=at.queries, unit="request")
    yield of(
        name=f"run time at {gib.normalize():f} GB" + (", on warm instances" if warm else ""),
        price_key=f"lambda.{FAMILIES[architecture]}.{'warm_' if warm else ''}gb_second",
        quantity=seconds * gib,
        unit="GB-second",
    )
    extra = number(made.inputs.get("ephemeralStorage") or {}, "size", FREE_TMP_MIB) - FREE_TMP_MIB
    if extra > 0:
        yield of(
            name="scratch space above 512 MB",
            price_key="lambda.tmp.gb_second",
            quantity=seconds * extra / MIB_PER_GIB,
            unit="GB-second",
        )

    if made.inputs.get("snapStart"):
        yield from _snapshots(made, gib, at)


def _snapshots(made: Declared, gib: Decimal, at: Situation) -> Iterator[Component]:
    """SnapStart: what is kept of each version that was asked in the last 14 days, and what each cold start reads."""
    of = partial(Component, resource=made.name, part="service")
    yield of(
        name="snapshots, kept",
        price_key="lambda.snapshot.gb_second",
        quantity=at.usage.amount("snapshots") * gib * at.hours * SECONDS_PER_HOUR,
        unit="GB-second",
        assumption=at.usage.because("snapshots"),
    )
    yield of(
        name="snapshots, restored",
        price_key="lambda.snapshot.restored_gb",
        quantity=at.usage.amount("cold_starts_per_month") * gib,
        unit="GB",
        kind="usage",
        assumption=at.usage.because("cold_starts_per_month"),
    )


def warm_instances(kept: Declared, at: Situation) -> Iterator[Component]:
    """Memory that is kept started, queries or not."""
    made = at.program.one("lambda/function:Function", "-function")
    (architecture,) = made.inputs.get("architectures") or ("x86_64",)
    gib = number(made.inputs, "memorySize") / MIB_PER_GIB
    count = number(kept.inputs, "provisionedConcurrentExecutions")
    hours, because = at.hours, ""
    if at.program.of("appautoscaling/scheduledAction:ScheduledAction"):
        hours = min(at.hours, at.usage.amount("scheduled_hours_per_month"))
        because = at.usage.because("scheduled_hours_per_month")
    yield Component(
        resource=kept.name,
        part="service",
        name=f"{count.normalize():f} warm instances of {gib.normalize():f} GB",
        price_key=f"lambda.{FAMILIES[architecture]}.kept_gb_second",
        quantity=count * gib * hours * SECONDS_PER_HOUR,
        unit="GB-second",
        assumption=because,
    )


def rest_api(front: Declared, at: Situation) -> Iterator[Component]:
    """Requests; a streamed answer is one for each 10 MB, rounded up."""
    size_kib = at.usage.amount("response_kib_per_query")
    each = max(Decimal(1), (size_kib / STREAMED_REQUEST_KIB).to_integral_value(rounding="ROUND_CEILING"))
    yield Component(
        resource=front.name,
        part="front",
        name="REST API, requests" + (f", {each:f} for each answer" if each > 1 else ""),
        price_key="api.rest.request",
        quantity=at.queries * each,
        unit="request",
        kind="usage",
        assumption=at.usage.because("queries_per_month", "response_kib_per_query"),
    )
