"""Parts that rest, at AWS: tasks, functions, and the alarms that would ring meanwhile.

Each is a port `opsctl.standby.part.Part`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opsctl.aws.session import client, translated
from opsctl.standby.part import Look

SCALABLE = "ecs:service:DesiredCount"
WARMTH = "lambda:function:ProvisionedConcurrency"
SUSPENDABLE = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
MOST_ALARMS = 100  # of one call


@dataclass(frozen=True, slots=True)
class Tasks:
    """Those of an ECS service; the autoscaler, which would start them again, is held."""

    region: str | None
    cluster: str
    service: str
    name: str = "tasks"

    def look(self) -> Look | None:
        """How many there should be.

        Raises:
            CloudRefused, TimedOut
        """
        with translated(f"ECS service '{self.service}'"):
            (found,) = self._ecs().describe_services(cluster=self.cluster, services=[self.service])["services"]
            target = self._target()
        wanted, held = int(found["desiredCount"]), _is_held(target)
        rests = wanted == 0 and held
        return Look(f"{wanted} tasks", rests, f"{max(1, int(target['MinCapacity']))} tasks", half=held and not rests)

    def rest(self) -> None:
        """None."""
        self._hold(on=True)
        self._count(0)

    def wake(self) -> None:
        """The fewest that the autoscaler allows."""
        with translated(f"the autoscaler of '{self.service}'"):
            fewest = max(1, int(self._target()["MinCapacity"]))
        self._count(fewest)
        self._hold(on=False)

    def _count(self, number: int) -> None:
        with translated(f"ECS service '{self.service}'", to="scale"):
            self._ecs().update_service(cluster=self.cluster, service=self.service, desiredCount=number)

    def _hold(self, *, on: bool) -> None:
        _hold_autoscaler(self.region, "ecs", SCALABLE, self._resource, on=on)

    def _target(self) -> dict[str, Any]:
        return _target(self.region, "ecs", self._resource)

    @property
    def _resource(self) -> str:
        return f"service/{self.cluster}/{self.service}"

    def _ecs(self) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        return client("ecs", self.region)


def _target(region: str | None, service: str, resource: str) -> dict[str, Any]:
    scaling = client("application-autoscaling", region)
    found = scaling.describe_scalable_targets(ServiceNamespace=service, ResourceIds=[resource])
    return dict(found["ScalableTargets"][0])


def _is_held(target: dict[str, Any]) -> bool:
    return all((target.get("SuspendedState") or {}).get(each) for each in SUSPENDABLE)


def _hold_autoscaler(region: str | None, service: str, dimension: str, resource: str, *, on: bool) -> None:
    with translated(f"the autoscaler of '{resource}'", to="hold" if on else "let go of"):
        client("application-autoscaling", region).register_scalable_target(
            ServiceNamespace=service,
            ScalableDimension=dimension,
            ResourceId=resource,
            SuspendedState=dict.fromkeys(SUSPENDABLE, on),
        )


@dataclass(frozen=True, slots=True)
class Function:
    """A function that answers nobody, and whose instances are not kept warm.

    Attributes:
        reserved: instances that it may have at most, as the stack says; None where nothing is said.
        warm: of these, how many are kept started.
        scheduled: whether an autoscaler changes that number by the hour, and is held.
    """

    region: str | None
    function: str
    alias: str
    reserved: int | None
    warm: int
    scheduled: bool = False
    name: str = "function"

    def look(self) -> Look | None:
        """How many instances it may have.

        Raises:
            CloudRefused, TimedOut
        """
        with translated(f"function '{self.function}'"):
            may = client("lambda", self.region).get_function_concurrency(FunctionName=self.function)
            limit = may.get("ReservedConcurrentExecutions")
            half = limit != 0 and (self._is_cold() or self._is_held())
        now = f"{_instances(limit)}, not as promised" if half else _instances(limit)
        awake = _instances(self.reserved) + (f", {self.warm} warm" * bool(self.warm))
        return Look(now, limit == 0, awake, half=half)

    def rest(self) -> None:
        """No instance, warm or not."""
        self._hold(on=True)
        with translated(f"function '{self.function}'", to="stop"):
            functions = client("lambda", self.region)
            if self.warm:
                functions.delete_provisioned_concurrency_config(FunctionName=self.function, Qualifier=self.alias)
            functions.put_function_concurrency(FunctionName=self.function, ReservedConcurrentExecutions=0)

    def wake(self) -> None:
        """As many as the stack says."""
        with translated(f"function '{self.function}'", to="start"):
            functions = client("lambda", self.region)
            if self.reserved is None or self.reserved < 0:
                functions.delete_function_concurrency(FunctionName=self.function)
            else:
                functions.put_function_concurrency(
                    FunctionName=self.function, ReservedConcurrentExecutions=self.reserved
                )
            if self.warm:
                functions.put_provisioned_concurrency_config(
                    FunctionName=self.function, Qualifier=self.alias, ProvisionedConcurrentExecutions=self.warm
                )
        self._hold(on=False)

    def _is_cold(self) -> bool:
        """Whether instances that should be kept warm are not."""
        if not self.warm:
            return False
        functions = client("lambda", self.region)
        try:
            functions.get_provisioned_concurrency_config(FunctionName=self.function, Qualifier=self.alias)
        except functions.exceptions.ProvisionedConcurrencyConfigNotFoundException:
            return True
        return False

    def _is_held(self) -> bool:
        return self.scheduled and _is_held(_target(self.region, "lambda", self._resource))

    def _hold(self, *, on: bool) -> None:
        if self.scheduled:
            _hold_autoscaler(self.region, "lambda", WARMTH, self._resource, on=on)

    @property
    def _resource(self) -> str:
        return f"function:{self.function}:{self.alias}"


def _instances(limit: int | None) -> str:
    return "no limit" if limit is None or limit < 0 else f"at most {limit}"


@dataclass(frozen=True, slots=True)
class Alarms:
    """Alarms that would call somebody because nothing runs."""

    region: str | None
    prefix: str
    name: str = "alarms"

    def look(self) -> Look | None:
        """How many of them would tell somebody.

        Raises:
            CloudRefused, TimedOut
        """
        with translated(f"alarms '{self.prefix}*'"):
            found = self._all()
        if not found:
            return None
        loud = [name for name, on in found.items() if on]
        return Look(f"{len(loud)} of {len(found)} tell somebody", not loud, f"{len(found)} tell somebody")

    def rest(self) -> None:
        """Silent."""
        self._each("disable_alarm_actions", to="silence")

    def wake(self) -> None:
        """Loud."""
        self._each("enable_alarm_actions", to="switch on")

    def _each(self, call: str, *, to: str) -> None:
        with translated(f"alarms '{self.prefix}*'", to=to):
            names = sorted(self._all())
            for at in range(0, len(names), MOST_ALARMS):
                getattr(self._watch(), call)(AlarmNames=names[at : at + MOST_ALARMS])

    def _all(self) -> dict[str, bool]:
        pages = self._watch().get_paginator("describe_alarms")
        asked = {"AlarmNamePrefix": self.prefix, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
        return {
            str(each["AlarmName"]): bool(each["ActionsEnabled"])
            for page in pages.paginate(**asked)
            for key in ("MetricAlarms", "CompositeAlarms")
            for each in page.get(key, ())
        }

    def _watch(self) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        return client("cloudwatch", self.region)
