"""Every request against botocore's own service models, so that a field or a bound that AWS has not is found here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from opsctl.endpoint.names import Names
from opsctl.endpoint.resources import Resource, resources
from opsctl.endpoint.rollout import STRATEGIES, deployment
from opsctl.endpoint.spec import BucketModel, EndpointSpec, ScaleToZero
from tests.unit.opsctl.endpoint.specs import ASLEEP, CLASSIC, changed

FROM_S3 = {"source": BucketModel("org/model", "s3://weights/models/a/"), "isolated": True}
SPECS = {
    "classic": CLASSIC,
    "classic, weights in S3": changed(CLASSIC, **FROM_S3),
    "classic, a key for the volume": changed(CLASSIC, instance_type="ml.m5.large"),
    "scale to zero": ASLEEP,
    "scale to zero, weights in S3": changed(ASLEEP, **FROM_S3),
    "tgi": changed(CLASSIC, engine="tgi", quantization="eetq", instance_type="ml.g5.12xlarge"),
}
OPERATIONS = {
    "model": ("sagemaker", "CreateModel", "ModelName"),
    "config": ("sagemaker", "CreateEndpointConfig", "EndpointConfigName"),
    "endpoint": ("sagemaker", "CreateEndpoint", "EndpointName"),
    "component": ("sagemaker", "CreateInferenceComponent", "InferenceComponentName"),
    "target": ("application-autoscaling", "RegisterScalableTarget", "ResourceId"),
    "policy": ("application-autoscaling", "PutScalingPolicy", "PolicyName"),
    "alarm": ("cloudwatch", "PutMetricAlarm", "AlarmName"),
}
SESSION = botocore.session.get_session()


def mistakes(service: str, operation: str, request: dict[str, Any]) -> str:
    shape = SESSION.get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    said: str = ParamValidator().validate(request, shape).generate_report()
    return said + _not_in_enums(request, shape, "")


def _not_in_enums(value: Any, shape: Any, path: str) -> str:
    """Values that an enumeration doesn't have, and lengths and bounds: botocore leaves these to AWS."""
    if shape.type_name == "structure":
        return "".join(_not_in_enums(each, shape.members[key], f"{path}.{key}") for key, each in value.items())
    if shape.type_name == "list":
        return "".join(_not_in_enums(each, shape.member, f"{path}[]") for each in value)
    limits = shape.metadata
    if getattr(shape, "enum", None) and value not in shape.enum:
        return f"{path}: {value} is none of {shape.enum}\n"
    if isinstance(value, int | float) and not limits.get("min", value) <= value <= limits.get("max", value):
        return f"{path}: {value} is out of bounds\n"
    if isinstance(value, str) and len(value) > limits.get("max", len(value)):
        return f"{path}: {value} is too long\n"
    return ""


@pytest.mark.parametrize("case", SPECS)
def test_every_part_is_made_with_a_request_that_aws_knows(case: str) -> None:
    for part in resources(SPECS[case]):
        service, operation, name = OPERATIONS[part.kind]
        extra = {"ServiceNamespace": "sagemaker"} if service == "application-autoscaling" else {}
        assert mistakes(service, operation, {name: part.name, **part.request, **extra}) == "", part.key


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_update_has_alarms_that_take_it_back(strategy: Any) -> None:
    how = deployment("endpoint", "twin", strategy)
    request = {"EndpointName": "twin", "EndpointConfigName": "twin-0", "DeploymentConfig": how}
    assert mistakes("sagemaker", "UpdateEndpoint", request) == ""
    assert len(how["AutoRollbackConfiguration"]["Alarms"]) == 2
    component = {"InferenceComponentName": "twin-main", "DeploymentConfig": deployment("component", "twin", strategy)}
    assert mistakes("sagemaker", "UpdateInferenceComponent", component) == ""


@pytest.mark.parametrize("kind", ["endpoint", "component"])
def test_a_rolling_batch_is_within_what_sagemaker_allows_of_a_single_copy_too(kind: Any) -> None:
    size = deployment(kind, "twin", "rolling")["RollingUpdatePolicy"]["MaximumBatchSize"]
    assert size["Type"] == "CAPACITY_PERCENT"
    assert 5 <= size["Value"] <= 50


@pytest.mark.parametrize(("copies", "instances"), [(1, 2), (2, 3), (4, 5), (8, 10)])
def test_a_sleeper_has_room_for_the_batch_that_an_update_starts(copies: int, instances: int) -> None:
    config = part(changed(ASLEEP, shape=ScaleToZero(copies)), "config").request
    assert config["ProductionVariants"][0]["ManagedInstanceScaling"]["MaxInstanceCount"] == instances


def test_the_alarms_of_an_update_are_made_with_the_endpoint() -> None:
    named = {
        each["AlarmName"] for each in deployment("endpoint", "twin", "canary")["AutoRollbackConfiguration"]["Alarms"]
    }
    for spec in (CLASSIC, ASLEEP):
        assert named <= {part.name for part in resources(spec) if part.kind == "alarm"}


def part(spec: EndpointSpec, kind: str) -> Resource:
    return next(each for each in resources(spec) if each.kind == kind)


def test_a_classic_variant_names_its_model_and_one_that_scales_to_zero_names_none() -> None:
    classic, asleep = (part(spec, "config").request for spec in (CLASSIC, ASLEEP))
    assert "ModelName" in classic["ProductionVariants"][0]
    assert "ManagedInstanceScaling" not in classic["ProductionVariants"][0]
    variant = asleep["ProductionVariants"][0]
    assert "ModelName" not in variant
    assert variant["ManagedInstanceScaling"] == {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}
    assert asleep["ExecutionRoleArn"] == ASLEEP.role_arn


def test_one_request_wakes_a_sleeping_endpoint() -> None:
    alarm = next(each for each in resources(ASLEEP) if each.name == Names("twin").wake_alarm).request
    assert (alarm["MetricName"], alarm["ComparisonOperator"], alarm["Threshold"], alarm["EvaluationPeriods"]) == (
        "NoCapacityInvocationFailures", "GreaterThanOrEqualToThreshold", 1.0, 1,
    )  # fmt: skip
    assert alarm["AlarmActions"] == [f"policy:{Names('twin').wake_policy}"]


@pytest.mark.parametrize(
    ("fields", "new"),
    [
        ({"image": "other"}, {"model", "config"}),
        ({"context_tokens": 1024}, {"model", "config"}),
        ({"instance_type": "ml.g6.2xlarge"}, {"config"}),
        ({"tags": {"other": "tag"}}, set()),
        ({"thresholds": replace(CLASSIC.thresholds, latency_s=9)}, set()),
        ({"shape": replace(CLASSIC.shape, min_instances=2)}, set()),  # type: ignore[type-var]
    ],
)
def test_a_name_changes_with_what_sagemaker_can_not_change_and_with_nothing_else(fields: Any, new: set[str]) -> None:
    before, after = resources(CLASSIC), resources(changed(CLASSIC, **fields))
    assert {each.kind for each in after} - {each.kind for each in after if each.key in {b.key for b in before}} == new


def test_weights_in_the_bucket_are_mounted_whole_and_without_network() -> None:
    request = part(changed(CLASSIC, **FROM_S3), "model").request
    assert request["EnableNetworkIsolation"] is True
    assert request["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]["CompressionType"] == "None"
