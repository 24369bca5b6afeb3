"""What a stack burns in an hour: what the engine's state holds, with what runs behind it now; no query is counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from opsctl.cost.components import Situation
from opsctl.cost.views import bill
from opsctl.sheet import Usd

if TYPE_CHECKING:
    from infra.offline import Declared, Program
    from opsctl.cost.pricing import Pricing
    from opsctl.sheet import Sheet

TARGET = "aws:appautoscaling/target:Target"
SCHEDULE = "aws:appautoscaling/scheduledAction:ScheduledAction"
HOURS_PER_MONTH = 730


@dataclass(frozen=True, slots=True)
class Running:
    """Counts as they are now; None where the stack has no such thing."""

    tasks: int | None
    instances: int | None


def sheet(pricing: Pricing, program: Program, running: Running) -> Sheet:
    """The fixed lines of one hour, with the counts that run.

    Raises:
        NotUsable: the stack's config is wrong.
    """
    changes = _endpoint(running.instances)
    at = pricing.situation(changes)
    hour = pricing.usage.having(
        hours_per_month=Decimal(1), queries_per_month=Decimal(), nat_base_gib_per_month=Decimal()
    )
    report = pricing.price(Situation(at.cfg, _as_it_runs(program, running), hour))
    hourly = tuple(line for line in report.lines if line.component.price_key.endswith("hour"))
    found = bill.sheet(replace(report, lines=hourly))
    rate = sum((line.usd or Decimal() for line in hourly), Decimal())
    counts = (
        f"{running.tasks if running.tasks is not None else 'no'} tasks, {running.instances or 'no'} model instances"
    )
    return replace(
        found,
        title=f"stack {pricing.stack} now: {counts}, USD an hour",
        sums=(
            ("an hour", "", "", Usd(rate, digits=4), "", "total/hour", "", "", ""),
            ("at this rate, a month", "", "", Usd(rate * HOURS_PER_MONTH), "", "total/month", "", "", ""),
        ),
        notes=("only what is billed by the hour: storage, requests and tokens are not in a rate", *found.notes),
        document={
            "version": 1,
            "stack": pricing.stack,
            "tasks": running.tasks,
            "modelInstances": running.instances,
            "hourlyUsd": bill.exact(rate),
            "lines": [{"id": line.component.id, "hourlyUsd": bill.exact(line.usd)} for line in hourly],
        },
    )


def _endpoint(instances: int | None) -> dict[str, Any]:
    if not instances:
        return {"generation": {"scaling": {"min": 0, "max": 1}}} if instances == 0 else {}
    return {"generation": {"scaling": {"min": instances, "max": instances}}}


def _as_it_runs(program: Program, running: Running) -> Program:
    """The state, with the tasks that run in place of the least that may."""
    if running.tasks is None:
        return program
    kept = [each for each in program.resources if each.type != SCHEDULE]
    return replace(program, resources=tuple(_counted(each, running.tasks) for each in kept))


def _counted(resource: Declared, tasks: int) -> Declared:
    if resource.type != TARGET:
        return resource
    return replace(resource, inputs={**resource.inputs, "minCapacity": tasks, "maxCapacity": tasks})
