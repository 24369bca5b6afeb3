"""How an update shifts traffic, and the alarms that take it back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from opsctl.endpoint.names import Names

if TYPE_CHECKING:
    from opsctl.endpoint.resources import Kind, Request

Strategy = Literal["all-at-once", "canary", "linear", "rolling"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
BAKE_S = 300  # between shifts, and before the old fleet is let go: the latency alarm needs three minutes
LONGEST_S = 7200
# Percent of the fleet, or of the copies, in one shift: at least one. Rolling, the API reference allows 5 to 50 % and no
# more, and a count of one is more where there is but one copy.
SHARE = 25


def deployment(kind: Kind, endpoint: str, strategy: Strategy) -> Request:
    """The DeploymentConfig of an update; without alarms SageMaker would never roll back, so they are always named."""
    names = Names(endpoint)
    alarms = [{"AlarmName": name} for name in (names.errors_alarm, names.latency_alarm)]
    rollback = {"AutoRollbackConfiguration": {"Alarms": alarms}}
    if kind == "component":
        return {"RollingUpdatePolicy": _rolling(), **rollback}
    if strategy == "rolling":
        return {"RollingUpdatePolicy": _rolling(), **rollback}
    policy = {
        "TrafficRoutingConfiguration": _routing(strategy),
        "TerminationWaitInSeconds": BAKE_S,
        "MaximumExecutionTimeoutInSeconds": LONGEST_S,
    }
    return {"BlueGreenUpdatePolicy": policy, **rollback}


def batch(fleet: int) -> int:
    """How many instances or copies a rolling update starts beside `fleet` old ones."""
    return -(-fleet * SHARE // 100)


def _rolling() -> Request:
    return {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": SHARE},
        "WaitIntervalInSeconds": BAKE_S,
        "MaximumExecutionTimeoutInSeconds": LONGEST_S,
    }


def _routing(strategy: Strategy) -> Request:
    size: dict[str, Any] = {"Type": "CAPACITY_PERCENT", "Value": SHARE}
    if strategy == "canary":
        return {"Type": "CANARY", "WaitIntervalInSeconds": BAKE_S, "CanarySize": size}
    if strategy == "linear":
        return {"Type": "LINEAR", "WaitIntervalInSeconds": BAKE_S, "LinearStepSize": size}
    return {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": BAKE_S}
