"""Nothing lost, nothing doubled: kills, faults and rivals at every mutating call of every plan.

`make endpoint-matrix` runs all of it and prints the table; the end-to-end tests take the middle call of each plan and
leave out what is marked. A killed run is a real process that gets SIGKILL once its nth call was done, unanswered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import boto3
import pytest

from opsctl.endpoint.lock import Held
from opsctl.endpoint.names import Names
from opsctl.endpoint.spec import EndpointSpec
from opsctl.errors import RolledBack, TimedOut
from tests.e2e.endpoint.aws_proxy import AwsProxy, Refusal
from tests.e2e.endpoint.lab import (
    QUICK,
    REGION,
    SHAPES,
    WHOLE,
    act,
    census,
    clients,
    counts,
    killed_at,
    named,
    started,
)

FULL = os.environ.get("ENDPOINT_MATRIX") == "full"
KILLED = -9
Row = Callable[[str, str, str, str], None]
KINDS = (("ThrottlingException", 400), ("InternalFailure", 500))


def chosen(items: list[Any]) -> list[Any]:
    """All of them, or the one in the middle."""
    return items if FULL else [items[len(items) // 2]]


def release(spec: EndpointSpec, number: int) -> EndpointSpec:
    return replace(spec, context_tokens=1024 + number)


def answers(spec: EndpointSpec) -> bool:
    """Whether a request to the endpoint is answered now."""
    component = (
        {"InferenceComponentName": Names(spec.endpoint).component} if counts(spec.endpoint).get("component") else {}
    )
    runtime = boto3.client("sagemaker-runtime", region_name=REGION)
    return bool(runtime.invoke_endpoint(EndpointName=spec.endpoint, Body=b"{}", **component)["Body"].read())


def calls_of(proxy: AwsProxy, work: Callable[[], Any]) -> list[str]:
    proxy.forget()
    assert work().error is None
    return list(proxy.mutating)


@pytest.mark.full_matrix
def test_n1_a_second_deployment_makes_no_change(spec: EndpointSpec, shape: str, proxy: AwsProxy, row: Row) -> None:
    act("deploy", spec)
    assert calls_of(proxy, lambda: act("deploy", spec)) == []
    row("N1", "deploy twice is one change", shape, "0 mutating calls, exit 0")


@pytest.mark.full_matrix
def test_n2_a_deployment_killed_at_any_call_and_run_again_is_whole_and_so_is_a_deletion(
    spec: EndpointSpec, shape: str, proxy: AwsProxy, row: Row
) -> None:
    making = calls_of(proxy, lambda: act("deploy", spec))
    deleting = calls_of(proxy, lambda: act("delete", spec))
    for number in chosen(list(range(1, len(making) + 1))):
        assert killed_at(proxy, number, "deploy", spec) == KILLED
        assert act("deploy", spec).error is None
        assert counts(spec.endpoint) == WHOLE[shape], f"killed at call {number}, {making[number - 1]}"
        at = min(number, len(deleting))
        assert killed_at(proxy, at, "delete", spec) == KILLED
        assert act("delete", spec).error is None
        assert census(spec.endpoint) == {}, f"killed at call {at}, {deleting[at - 1]}"
    row("N2", "kill -9 at a mutating call, run again", f"{shape}, create", figure(making, "whole"))
    row("N2", "kill -9 at a mutating call, run again", f"{shape}, delete", figure(deleting, "nothing left"))


def test_n2_an_update_killed_at_any_call_and_run_again_is_whole_and_the_endpoint_answers_all_along(
    spec: EndpointSpec, shape: str, proxy: AwsProxy, row: Row
) -> None:
    for number in (0, 1):
        act("deploy", release(spec, number))
    calls = calls_of(proxy, lambda: act("deploy", release(spec, 2)))
    for number in chosen(list(range(1, len(calls) + 1))):
        new = release(spec, 2 + number)
        assert killed_at(proxy, number, "deploy", new) == KILLED
        assert answers(spec)
        assert act("deploy", new).error is None
        kept = {"model": 2, "config": 2 if shape == "classic" else 1}  # the release before is kept for a rollback
        assert counts(spec.endpoint) == {**WHOLE[shape], **kept}, f"killed at call {number}, {calls[number - 1]}"
        assert act("deploy", new).steps == ()
    row("N2", "kill -9 at a mutating call, run again", f"{shape}, update", figure(calls, "whole, answered all along"))


def test_n2_a_rollback_killed_at_any_call_and_run_again_goes_on(
    spec: EndpointSpec, shape: str, proxy: AwsProxy, row: Row
) -> None:
    old, new = release(spec, 0), release(spec, 1)
    act("deploy", old)
    act("deploy", new)
    calls = calls_of(proxy, lambda: act("rollback", spec))
    for number in chosen(list(range(1, len(calls) + 1))):
        old, new = new, old
        assert killed_at(proxy, number, "rollback", spec) == KILLED
        assert answers(spec)
        if number < len(calls):  # the last call ends it, so that another rollback would go forward again
            assert act("rollback", spec).error is None
        assert act("deploy", old).steps == ()
    row(
        "N2",
        "kill -9 at a mutating call, run again",
        f"{shape}, rollback",
        figure(calls, "went on, answered all along"),
    )


def figure(calls: list[str], what: str) -> str:
    done = len(chosen(list(range(len(calls)))))
    return f"{done} of {len(calls)}: {what}"


@pytest.mark.full_matrix
def test_n3_a_model_that_never_gets_healthy_is_rolled_back(spec: EndpointSpec, shape: str, row: Row) -> None:
    act("deploy", spec)
    before = census(spec.endpoint)
    report = act("deploy", replace(spec, image=f"{spec.image}-fail-health"))
    assert isinstance(report.error, RolledBack)
    assert report.error.exit_code == 5
    assert "did not pass the ping health check" in str(report.error)
    assert census(spec.endpoint) == before
    assert answers(spec)
    row("N3", "a model that never gets healthy", shape, "exit 5 with the reason, old release answers")


def test_n4_of_two_deployments_at_once_one_wins(spec: EndpointSpec, shape: str, proxy: AwsProxy, row: Row) -> None:
    what = "DescribeEndpoint" if shape == "classic" else "DescribeInferenceComponent"
    proxy.held = {what: "Creating"}
    first = started("deploy", release(spec, 0))
    proxy.wait_for("CreateEndpoint")
    second = act("deploy", release(spec, 1))
    assert isinstance(second.error, Held)
    assert second.error.exit_code == 1
    assert f"(process {first.pid}) has been working on this endpoint since" in str(second.error)
    proxy.held = {}
    first.join(60)
    assert first.exitcode == 0
    assert act("deploy", release(spec, 0)).steps == ()
    rounds = 5 if FULL else 1
    for number in range(rounds):
        pair = [started("deploy", release(spec, 10 * number + each)) for each in (2, 3)]
        for each in pair:
            each.join(60)
        codes = sorted(each.exitcode for each in pair)
        assert codes in ([0, 0], [0, 1])  # both, where one ended before the other looked
        assert act("deploy", release(spec, 10 * number + 2)).error is None
        assert counts(spec.endpoint)["endpoint"] == 1
    row("N4", "two deployments at once", shape, f"the other exits 1 and names the holder; {rounds} races, none mixed")


LIFE = {
    "classic": [
        "PutObject", "CreateModel", "CreateEndpointConfig", "PutMetricAlarm", "CreateEndpoint",
        "RegisterScalableTarget", "PutScalingPolicy", "UpdateEndpoint", "DeleteScalingPolicy",
        "DeregisterScalableTarget", "DeleteAlarms", "DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel",
    ],
    "scale-to-zero": ["CreateInferenceComponent", "UpdateInferenceComponent", "DeleteInferenceComponent"],
}  # fmt: skip


def life(spec: EndpointSpec) -> None:
    """Made, changed twice, deleted: every mutating operation there is."""
    for number in range(3):
        assert act("deploy", release(spec, number)).error is None
    assert act("delete", spec).error is None
    assert census(spec.endpoint) == {}


@pytest.fixture
def at_once() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.mark.full_matrix
def test_n5_throttling_and_server_errors_on_every_call_once(
    spec: EndpointSpec, shape: str, proxy: AwsProxy, row: Row
) -> None:
    for code, status in KINDS:
        act("delete", spec)
        planned = len(calls_of(proxy, lambda: act("deploy", spec)))
        act("delete", spec)
        proxy.forget()
        proxy.refusals = [Refusal("*", 1, code, status)]
        assert act("deploy", spec).error is None
        assert counts(spec.endpoint) == WHOLE[shape]
        kinds = len(proxy.refusals[0].used)
        assert len(proxy.mutating) == planned + kinds <= 3 * planned
    row("N5", "throttling, 5xx: every call once", shape, f"{planned + kinds} calls for a plan of {planned}")


@pytest.mark.full_matrix
def test_n5_throttling_and_server_errors_on_any_call_three_times(
    shape: str, proxy: AwsProxy, row: Row, at_once: ThreadPoolExecutor
) -> None:
    operations = chosen(LIFE[shape])

    def lived(operation: str, kind: tuple[str, int]) -> int:
        spec = named(SHAPES[shape])
        refusal = Refusal(operation, 3, *kind, about=spec.endpoint)
        proxy.refusals.append(refusal)
        life(spec)
        assert refusal.used[operation] > 3
        return len(proxy.about(spec.endpoint))

    _ = clients()
    cases = [(operation, kind) for operation in operations for kind in KINDS]
    most = max(at_once.map(lambda case: lived(*case), cases))
    row(
        "N5", "throttling, 5xx: a call three times", shape, f"{len(cases)} of {len(cases)} lives whole, <= {most} calls"
    )


def test_n5_an_answer_that_is_lost_does_nothing_twice(
    spec: EndpointSpec, shape: str, proxy: AwsProxy, row: Row
) -> None:
    proxy.refusals = [Refusal("*", 1, "InternalFailure", 500, after=True)]
    life(spec)
    row("N5", "the answer of every call is lost once", shape, f"{len(proxy.refusals[0].used)} operations, whole")


def test_n6_a_deployment_that_ran_out_of_time_is_resumed_by_looking(
    spec: EndpointSpec, shape: str, proxy: AwsProxy, row: Row
) -> None:
    operation = "CreateEndpoint" if shape == "classic" else "CreateInferenceComponent"
    proxy.held = {operation.replace("Create", "Describe"): "Creating"}
    report = act("deploy", spec, replace(QUICK, limit_s=1.0))
    assert isinstance(report.error, TimedOut)
    assert report.error.exit_code == 4
    proxy.held = {}
    assert act("deploy", spec).error is None
    assert proxy.calls.count(operation) == 1
    assert counts(spec.endpoint) == WHOLE[shape]
    row("N6", "out of time while creating", shape, "exit 4; resumed, no second create")


@pytest.mark.full_matrix
def test_n7_drift_is_told_and_put_right_with_consent_only(
    spec: EndpointSpec, shape: str, proxy: AwsProxy, row: Row
) -> None:
    act("deploy", spec)
    whole = census(spec.endpoint)
    removed = 0
    for kind, names in whole.items():
        for name in names if kind in {"alarm", "policy", "target"} else ():
            _lose(kind, name)
            proxy.forget()
            seen = act("deploy", spec, replace(QUICK, dry_run=True))
            assert [f"{kind} {name}" in str(each) for each in seen.drift].count(True) == 1
            assert proxy.mutating == []
            assert act("deploy", spec).error is None
            assert census(spec.endpoint) == whole
            removed += 1
    row("N7", "drift", shape, f"{removed} of {removed} told, then put right")


def _lose(kind: str, name: str) -> None:
    scaling = clients().scaling
    if kind == "alarm":
        clients().cloudwatch.delete_alarms(AlarmNames=[name])
        return
    if kind == "target":
        found = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[name])["ScalableTargets"][
            0
        ]
        keys = ("ServiceNamespace", "ResourceId", "ScalableDimension")
        scaling.deregister_scalable_target(**{key: found[key] for key in keys})
        return
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", PolicyNames=[name])["ScalingPolicies"]
    keys = ("ServiceNamespace", "ResourceId", "ScalableDimension", "PolicyName")
    scaling.delete_scaling_policy(**{key: policies[0][key] for key in keys})
