"""The stack `dev` between two working days: a pause, a deployment meanwhile, and back.

The model endpoint is left out: the stack's bucket, which remembers it, takes no request without TLS.
"""

from __future__ import annotations

from typing import Any

from tests.e2e.ecs_dev.cases import client
from tests.e2e.stack import Stack
from tests.e2e.typed import typed


def service(stack: Stack) -> dict[str, Any]:
    cluster = stack.outputs()["cluster"]
    (found,) = client("ecs").describe_services(cluster=cluster["name"], services=[cluster["service"]])["services"]
    return dict(found)


def loud(stack: Stack) -> set[bool]:
    """Whether the stack's alarms tell anybody."""
    pages = client("cloudwatch").get_paginator("describe_alarms")
    found = pages.paginate(AlarmNamePrefix=f"rag-platform-{stack.name}-")
    return {each["ActionsEnabled"] for page in found for each in page["MetricAlarms"]}


def held(stack: Stack) -> set[bool]:
    """What of the autoscaler is suspended."""
    cluster = stack.outputs()["cluster"]
    resource = f"service/{cluster['name']}/{cluster['service']}"
    asked = {"ServiceNamespace": "ecs", "ResourceIds": [resource]}
    (target,) = client("application-autoscaling").describe_scalable_targets(**asked)["ScalableTargets"]
    return set((target.get("SuspendedState") or {"nothing": False}).values())


def test_a_pause_leaves_no_task_and_no_loud_alarm_and_says_what_bills(stack: Stack) -> None:
    refused = typed(stack, "pause", "--no-endpoint")
    assert (refused.code, "--yes" in refused.err.splitlines()[-1]) == (2, True)
    assert service(stack)["desiredCount"] >= 1
    done = typed(stack, "pause", "--yes", "--no-endpoint")
    assert done.code == 0, done.err
    assert done.document["changed"] == ["alarms", "tasks"]
    assert (service(stack)["desiredCount"], held(stack), loud(stack)) == (0, {True}, {False})
    bills = {each["price"] for each in done.document["bills"]}
    assert {"nat.hour", "alb.hour"} <= bills
    assert not [price for price in bills if price.startswith("fargate.")]
    assert typed(stack, "pause", "--yes", "--no-endpoint").document["changed"] == []


def test_a_deployment_of_a_paused_stack_does_not_wake_it(stack: Stack) -> None:
    done = typed(stack, "deploy", "--yes", "--no-preflight")
    assert done.code == 0, done.err
    assert "is paused, 0 of 0 replicas" in done.document["verdict"]["why"]
    assert done.document["smokeTest"] is None
    assert f"opsctl resume --stack {stack.name}" in done.err
    assert service(stack)["desiredCount"] == 0


def test_it_comes_back_as_it_was(stack: Stack) -> None:
    done = typed(stack, "resume", "--yes", "--no-endpoint")
    assert done.code == 0, done.err
    assert done.document["changed"] == ["tasks", "alarms"]
    assert (service(stack)["desiredCount"], held(stack), loud(stack)) == (1, {False}, {True})
    assert stack.unchanged(), stack.log[-1]
