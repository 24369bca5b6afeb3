"""The model endpoint on a cloud: made, left alone, changed, taken back, deleted; both shapes, nothing orphaned."""

from __future__ import annotations

import time
from dataclasses import replace

import boto3
import httpx
import pytest

from opsctl.endpoint import journal as journals
from opsctl.endpoint.journal import Holder, Journal
from opsctl.endpoint.lock import Held
from opsctl.endpoint.names import STACK_TAG
from opsctl.endpoint.spec import EndpointSpec
from opsctl.errors import CheckFailed, CloudRefused, NotUsable, RolledBack
from tests.e2e.endpoint.aws_proxy import AwsProxy, Refusal
from tests.e2e.endpoint.lab import QUICK, REGION, WHOLE, act, census, clients, counts, named, run_of
from tests.unit.opsctl.endpoint.specs import ASLEEP, CLASSIC


def test_an_endpoint_is_made_whole_and_a_second_run_changes_nothing(
    spec: EndpointSpec, shape: str, proxy: AwsProxy
) -> None:
    report = act("deploy", spec)
    assert report.error is None
    assert counts(spec.endpoint) == WHOLE[shape]
    made = [each for each in proxy.mutating if each != "PutObject"]
    assert len(made) == len(report.steps)
    assert proxy.mutating.count("PutObject") == 2  # the journal, when it begins and when it ends
    proxy.forget()
    httpx.delete(f"{proxy.upstream}/emulator/calls", trust_env=False)
    again = act("deploy", spec)
    logged = httpx.get(f"{proxy.upstream}/emulator/calls", trust_env=False).json()["calls"]
    assert (again.error, again.steps, again.changed) == (None, (), False)
    assert [call["operation"] for call in logged if call["mutating"]] == []
    assert proxy.mutating == []


def test_another_model_is_made_beside_the_old_one_then_switched_to(spec: EndpointSpec, shape: str) -> None:
    act("deploy", spec)
    new = replace(spec, context_tokens=8192)
    assert act("deploy", new).error is None
    assert counts(spec.endpoint) == {**WHOLE[shape], "model": 2, "config": 2 if shape == "classic" else 1}
    assert act("deploy", new).steps == ()
    newest = replace(spec, context_tokens=2048)
    assert act("deploy", newest).error is None  # the first release is two back now: it goes
    assert counts(spec.endpoint) == {**WHOLE[shape], "model": 2, "config": 2 if shape == "classic" else 1}


def test_a_rollback_goes_to_the_release_before_and_forward_again(spec: EndpointSpec) -> None:
    act("deploy", spec)
    new = replace(spec, context_tokens=8192)
    act("deploy", new)
    assert act("rollback", spec).error is None
    assert act("deploy", spec).steps == ()
    assert act("rollback", spec).error is None
    assert act("deploy", new).steps == ()


def test_delete_leaves_nothing(spec: EndpointSpec) -> None:
    act("deploy", spec)
    act("deploy", replace(spec, context_tokens=8192))
    assert act("delete", spec).error is None
    assert census(spec.endpoint) == {}
    assert act("delete", spec).steps == ()


def test_an_update_that_never_gets_healthy_is_rolled_back_and_says_so(spec: EndpointSpec) -> None:
    act("deploy", spec)
    before = census(spec.endpoint)
    report = act("deploy", replace(spec, image=f"{spec.image}-fail-health"))
    assert isinstance(report.error, RolledBack)
    assert report.error.exit_code == 5
    assert "SageMaker went back" in str(report.error)
    assert "did not pass the ping health check" in str(report.error)
    assert census(spec.endpoint) == before
    assert act("deploy", spec).steps == ()


def test_what_failed_is_kept_when_told(spec: EndpointSpec, shape: str) -> None:
    act("deploy", spec)
    failing = replace(spec, image=f"{spec.image}-fail-health")
    report = act("deploy", failing, replace(QUICK, keep_failed=True))
    assert isinstance(report.error, RolledBack)
    assert counts(spec.endpoint)["model"] == 2
    assert act("deploy", spec).error is None  # the next run tidies up
    assert counts(spec.endpoint) == WHOLE[shape]


def test_a_first_deployment_that_never_gets_healthy_leaves_nothing(spec: EndpointSpec) -> None:
    report = act("deploy", replace(spec, image=f"{spec.image}-fail-health"))
    assert isinstance(report.error, RolledBack)
    assert census(spec.endpoint) == {}


def test_a_failed_endpoint_that_was_kept_is_replaced(spec: EndpointSpec, shape: str) -> None:
    failing = replace(spec, image=f"{spec.image}-fail-health")
    act("deploy", failing, replace(QUICK, keep_failed=True))
    assert act("deploy", spec).error is None
    assert counts(spec.endpoint) == WHOLE[shape]


def test_the_last_words_of_the_container_are_told() -> None:
    spec = named(CLASSIC)
    logs = boto3.client("logs", region_name=REGION)
    group = f"/aws/sagemaker/Endpoints/{spec.endpoint}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="main/i-0")
    event = {"timestamp": int(time.time() * 1000), "message": "torch.OutOfMemoryError: CUDA out of memory"}
    logs.put_log_events(logGroupName=group, logStreamName="main/i-0", logEvents=[event])
    run = run_of(replace(spec, image=f"{spec.image}-fail-health"))
    assert isinstance(run.deploy(replace(spec, image=f"{spec.image}-fail-health")).error, RolledBack)
    assert "  | torch.OutOfMemoryError: CUDA out of memory" in run.watch.lines


def test_other_instances_are_moved_to_with_scaling_off_and_on_again(proxy: AwsProxy) -> None:
    spec = named(CLASSIC)
    act("deploy", spec)
    proxy.forget()
    assert act("deploy", replace(spec, instance_type="ml.g6.2xlarge")).error is None
    order = [each for each in proxy.mutating if "Scal" in each or each == "UpdateEndpoint"]
    assert order == [
        "DeleteScalingPolicy",
        "DeregisterScalableTarget",
        "UpdateEndpoint",
        "RegisterScalableTarget",
        "PutScalingPolicy",
    ]


def test_more_instances_need_no_new_fleet(proxy: AwsProxy) -> None:
    spec = named(CLASSIC)
    act("deploy", spec)
    proxy.forget()
    assert act("deploy", replace(spec, shape=replace(CLASSIC.shape, min_instances=2, max_instances=4))).error is None  # type: ignore[type-var]
    assert [each for each in proxy.mutating if each != "PutObject"] == ["RegisterScalableTarget"]


def test_a_sleeping_component_is_woken_by_an_update_which_else_would_prove_nothing() -> None:
    spec = named(ASLEEP)
    act("deploy", spec)
    sagemaker = clients().sagemaker
    component = f"{spec.endpoint}-main"
    sagemaker.update_inference_component_runtime_config(
        InferenceComponentName=component, DesiredRuntimeConfig={"CopyCount": 0}
    )
    assert act("deploy", spec).steps == ()
    assert act("deploy", replace(spec, context_tokens=8192)).error is None
    described = sagemaker.describe_inference_component(InferenceComponentName=component)
    assert described["RuntimeConfig"]["DesiredCopyCount"] == 1


def test_a_region_without_scale_to_zero_is_found_before_anything_is_paid_for(proxy: AwsProxy) -> None:
    spec = named(ASLEEP)
    said = "1 validation error detected: MinInstanceCount must be at least 1"
    proxy.refusals = [Refusal("CreateEndpointConfig", 1, "ValidationException", 400, said)]
    report = act("deploy", spec)
    assert isinstance(report.error, CloudRefused)
    assert "refuses to scale to zero" in str(report.error)
    assert "generation.scaling.min to 1" in str(report.error)
    assert census(spec.endpoint) == {}
    assert "CreateModel" not in proxy.calls


@pytest.mark.parametrize(("one", "other"), [(CLASSIC, ASLEEP), (ASLEEP, CLASSIC)])
def test_a_shape_that_would_have_to_change_is_refused_with_the_way(one: EndpointSpec, other: EndpointSpec) -> None:
    spec = named(one)
    act("deploy", spec)
    before = census(spec.endpoint)
    report = act("deploy", replace(spec, shape=other.shape))
    assert isinstance(report.error, NotUsable)
    assert f"opsctl endpoint delete {spec.endpoint}" in str(report.error)
    assert census(spec.endpoint) == before


@pytest.mark.parametrize("action", ["deploy", "delete"])
def test_what_another_stack_owns_is_refused(action: str, spec: EndpointSpec, proxy: AwsProxy) -> None:
    act("deploy", spec)
    proxy.forget()
    other = replace(spec, stack="prod", tags={**spec.tags, STACK_TAG: "prod"})
    report = act(action, other)
    assert isinstance(report.error, CheckFailed)
    assert "belongs to stack 'dev'" in str(report.error)
    assert proxy.mutating == []


def test_what_was_made_by_hand_is_refused() -> None:
    spec = named(CLASSIC)
    sagemaker = clients().sagemaker
    variant = {"VariantName": "x", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "ModelName": "by-hand"}
    sagemaker.create_model(ModelName="by-hand", ExecutionRoleArn=spec.role_arn, PrimaryContainer={"Image": spec.image})
    sagemaker.create_endpoint_config(EndpointConfigName="by-hand", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=spec.endpoint, EndpointConfigName="by-hand")
    assert "made by hand" in str(act("deploy", spec).error)


def test_drift_is_told_before_it_is_put_right_and_only_with_consent(spec: EndpointSpec) -> None:
    act("deploy", spec)
    cloudwatch = clients().cloudwatch
    alarm = cloudwatch.describe_alarms(AlarmNames=[f"{spec.endpoint}-endpoint-5xx"])["MetricAlarms"][0]
    kept = ("AlarmName", "Namespace", "MetricName", "Period", "EvaluationPeriods", "ComparisonOperator", "Statistic")
    cloudwatch.put_metric_alarm(Threshold=5000, **{key: alarm[key] for key in kept})

    def refuse(report: object) -> None:
        raise NotUsable("no terminal", next_step="give --yes")

    refused = run_of(spec, consent=refuse).deploy(spec)
    assert isinstance(refused.error, NotUsable)
    assert f"alarm {spec.endpoint}-endpoint-5xx: Threshold is 5000.0, not 5.0" in {str(each) for each in refused.drift}
    report = act("deploy", spec)
    assert [step.verb for step in report.steps] == ["change"]
    assert act("deploy", spec).steps == ()


def test_a_config_that_somebody_switched_to_is_drift() -> None:
    spec = named(CLASSIC)
    act("deploy", spec)
    act("deploy", replace(spec, context_tokens=8192))
    sagemaker = clients().sagemaker
    running = sagemaker.describe_endpoint(EndpointName=spec.endpoint)["EndpointConfigName"]
    other = next(name for name in census(spec.endpoint)["config"] if name != running)
    sagemaker.update_endpoint(EndpointName=spec.endpoint, EndpointConfigName=other)
    report = act("deploy", replace(spec, context_tokens=8192))
    assert [each.field for each in report.drift] == ["EndpointConfigName"]
    assert sagemaker.describe_endpoint(EndpointName=spec.endpoint)["EndpointConfigName"] == running


def test_a_dry_run_changes_nothing_and_says_what_would(spec: EndpointSpec, proxy: AwsProxy) -> None:
    report = act("deploy", spec, replace(QUICK, dry_run=True))
    assert report.error is None
    assert len(report.steps) == sum(counts_of(spec).values())
    assert proxy.mutating == []


def counts_of(spec: EndpointSpec) -> dict[str, int]:
    return WHOLE["classic" if spec.shape == CLASSIC.shape else "scale-to-zero"]


def test_a_lock_of_another_machine_is_respected_until_its_lease_has_run_out() -> None:
    spec = named(CLASSIC)
    away = Holder("other", "ann@desk", "desk", 4711, 0.0, "2026-11-26T01:00:00+00:00")
    run = run_of(spec)
    run.lock.document.write(journals.spell(Journal().begun("deploy", spec, away, ())), None)
    assert isinstance(run_of(spec).deploy(spec).error, Held)
    time.sleep(2.1)  # S3 keeps times in whole seconds
    late = run_of(spec)
    late.lock.lease_s = 1.0
    assert late.deploy(spec).error is None
