"""What the tasks and the instances cost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from opsctl.cost.components import Component, Kind, Situation, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.offline import Declared

CPU_UNITS_PER_VCPU = 1024
MIB_PER_GIB = 1024
ARCHITECTURES = {"X86_64": "x86", "ARM64": "arm"}
MINUTES_PER_HOUR = 60


def ecs_service(service: Declared, at: Situation) -> Iterator[Component]:
    """Hours of CPU and memory of its tasks: those that always run, and those that the busiest hours add.

    On instances the tasks cost nothing of their own.
    """
    task = at.program.one("ecs/taskDefinition:TaskDefinition")
    if "FARGATE" not in task.inputs.get("requiresCompatibilities", ()):
        return
    always, more = _tasks(service, at)
    hours, because = _hours(at)
    for spot, share in _shares(service, always):
        if share:
            note = f"{share.normalize():f} of {always.normalize():f} tasks; {because}" if because else ""
            yield from _task_hours(service, task, share * hours, spot=spot, kind="fixed", assumption=note)
    because = at.usage.because("queries_per_month", "peak_to_average_ratio")
    yield from _task_hours(service, task, more * at.hours, spot=False, kind="usage", assumption=because)


def _tasks(service: Declared, at: Situation) -> tuple[Decimal, Decimal]:
    """Tasks that always run, and the mean of what is added to them while queries come."""
    target = at.one_of("appautoscaling/target:Target")
    low = number(target.inputs if target else service.inputs, "minCapacity" if target else "desiredCount")
    high = number(target.inputs, "maxCapacity") if target else low
    per_minute = at.queries / (at.hours * MINUTES_PER_HOUR) * at.usage.amount("peak_to_average_ratio")
    busy = per_minute / at.cfg.scaling.requests_per_minute
    return low, min(max(busy - low, Decimal()), high - low)


def _hours(at: Situation) -> tuple[Decimal, str]:
    if not at.program.of("appautoscaling/scheduledAction:ScheduledAction"):
        return at.hours, ""
    return min(at.hours, at.usage.amount("scheduled_hours_per_month")), at.usage.because("scheduled_hours_per_month")


def _shares(service: Declared, tasks: Decimal) -> list[tuple[bool, Decimal]]:
    """Tasks on demand and on Spot: each provider's base first, the rest by weight."""
    strategies = service.inputs.get("capacityProviderStrategies") or [{"capacityProvider": "FARGATE", "weight": 1}]
    weights = sum((number(each, "weight", 0) for each in strategies), Decimal())
    based = sum((number(each, "base", 0) for each in strategies), Decimal())
    rest = max(tasks - based, Decimal())
    found = {True: Decimal(), False: Decimal()}
    for each in strategies:
        share = rest * number(each, "weight", 0) / weights if weights else Decimal()
        found[each["capacityProvider"] == "FARGATE_SPOT"] += min(number(each, "base", 0), tasks) + share
    return [(False, found[False]), (True, found[True])]


def _task_hours(
    service: Declared,
    task: Declared,
    hours: Decimal,
    *,
    spot: bool,
    kind: Kind,
    assumption: str,
) -> Iterator[Component]:
    architecture = ARCHITECTURES[task.inputs.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")]
    family = f"fargate{'_spot' if spot else ''}.{architecture}"
    busy = ", busy hours" if kind == "usage" else ""
    sizes = {"vCPU": ("vcpu_hour", number(task.inputs, "cpu") / CPU_UNITS_PER_VCPU)}
    sizes["GB"] = ("gb_hour", number(task.inputs, "memory") / MIB_PER_GIB)
    for unit, (key, size) in sizes.items():
        yield Component(
            resource=service.name if kind == "fixed" else f"{service.name}-busy",
            part="service",
            name=f"Fargate{' Spot' if spot else ''}, {size.normalize():f} {unit} a task{busy}",
            price_key=f"{family}.{key}",
            quantity=hours * size,
            unit=f"{unit}-hour",
            kind=kind,
            assumption=assumption,
        )


def instance(host: Declared, at: Situation) -> Iterator[Component]:
    """An instance with its root volume."""
    root = host.inputs.get("rootBlockDevice", {})
    yield from _instances(host, Decimal(1), host.inputs["instanceType"], root, at)


def instance_group(group: Declared, at: Situation) -> Iterator[Component]:
    """The least number of instances of an Auto Scaling group."""
    template = at.program.one("ec2/launchTemplate:LaunchTemplate")
    disks = template.inputs.get("blockDeviceMappings") or [{}]
    count = number(group.inputs, "minSize")
    yield from _instances(group, count, template.inputs["instanceType"], disks[0].get("ebs", {}), at)


def _instances(
    owner: Declared, count: Decimal, kind: str, disk: Mapping[str, Any], at: Situation
) -> Iterator[Component]:
    part = "service" if owner.type.endswith("Group") else "data"
    yield Component(
        resource=owner.name,
        part=part,
        name=f"{kind}, {count.normalize():f} running",
        price_key=f"ec2.{kind}.hour",
        quantity=count * at.hours,
        unit="hour",
    )
    yield Component(
        resource=owner.name,
        part=part,
        name=f"root volume, {disk.get('volumeType', 'gp3')}",
        price_key=f"ebs.{disk.get('volumeType', 'gp3')}.gb_month",
        quantity=count * number(disk, "volumeSize"),
        unit="GB-month",
    )
