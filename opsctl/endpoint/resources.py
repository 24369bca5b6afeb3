"""The objects that a spec stands for, each with the request that makes it. Pure: plain data in boto3's words, no calls.

What AWS reports of an object is kept in the same words, so that wanted and found can be compared field by field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from opsctl.endpoint.engines import container_environment
from opsctl.endpoint.instances import gpus, takes_volume_key
from opsctl.endpoint.names import VARIANT, Names
from opsctl.endpoint.rollout import batch
from opsctl.endpoint.spec import BucketModel, Classic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsctl.endpoint.spec import EndpointSpec, ScaleToZero

Kind = Literal["model", "config", "alarm", "endpoint", "component", "target", "policy"]
Request = dict[str, Any]
Key = tuple[Kind, str]

REQUESTS_PER_MINUTE = 60.0  # per instance or copy: vLLM batches about ten answers of six to ten seconds on an A10G
SCALE_OUT_S, SCALE_IN_S = 60, 600  # an instance takes minutes to come, so it is not let go of at once
MEMORY_MB = 8192  # a floor for the placement, which the GPUs decide; SageMaker wants one
POLICY_ACTION = "policy:"  # stands for the ARN of a policy, which only AWS knows
INSTANCES = "sagemaker:variant:DesiredInstanceCount"
COPIES = "sagemaker:inference-component:DesiredCopyCount"


@dataclass(frozen=True, slots=True)
class Resource:
    """One object; `request` is what its create call takes, without name and tags."""

    kind: Kind
    name: str
    request: Mapping[str, Any]

    @property
    def key(self) -> Key:
        """What tells it from all others of the endpoint."""
        return self.kind, self.name


def resources(spec: EndpointSpec) -> tuple[Resource, ...]:
    """Everything that the endpoint consists of, in the order in which it can be made."""
    return _classic(spec, spec.shape) if isinstance(spec.shape, Classic) else _scale_to_zero(spec, spec.shape)


def config_name(spec: EndpointSpec) -> str:
    """The endpoint config that the spec's endpoint runs."""
    return next(each.name for each in resources(spec) if each.kind == "config")


def _classic(spec: EndpointSpec, shape: Classic) -> tuple[Resource, ...]:
    names = Names(spec.endpoint)
    model = _model(names, spec, {**_network(spec)})
    variant = {**_variant(spec), "ModelName": model.name}
    config = _config(names, spec, variant, {"InitialInstanceCount": shape.min_instances}, {})
    scaled = f"endpoint/{spec.endpoint}/variant/{VARIANT}"
    metric = "SageMakerVariantInvocationsPerInstance"
    return (
        model,
        config,
        *_rollback_alarms(names, spec, {"EndpointName": spec.endpoint, "VariantName": VARIANT}),
        _endpoint(spec, config),
        _target(scaled, INSTANCES, shape.min_instances, shape.max_instances),
        _load_policy(names, scaled, INSTANCES, metric),
    )


def _scale_to_zero(spec: EndpointSpec, shape: ScaleToZero) -> tuple[Resource, ...]:
    """The config comes first: it costs nothing, and a region that can't scale to zero refuses it."""
    names = Names(spec.endpoint)
    scaling = {
        "Status": "ENABLED",
        "MinInstanceCount": 0,
        "MaxInstanceCount": shape.max_copies
        + batch(shape.max_copies),  # a rolling update starts new ones beside the old
    }
    variant = {**_variant(spec), "ManagedInstanceScaling": scaling}
    surroundings = {"ExecutionRoleArn": spec.role_arn, **_network(spec)}
    config = _config(names, spec, variant, {"InitialInstanceCount": 1}, surroundings)
    model = _model(names, spec, {})
    scaled = f"inference-component/{names.component}"
    of_component = {"InferenceComponentName": names.component}
    metric = "SageMakerInferenceComponentInvocationsPerCopy"
    return (
        config,
        model,
        *_rollback_alarms(names, spec, of_component),
        _endpoint(spec, config),
        _component(names, spec, model),
        _target(scaled, COPIES, 0, shape.max_copies),
        _load_policy(names, scaled, COPIES, metric),
        _wake_policy(names, scaled),
        _wake_alarm(names, of_component),
    )


def _model(names: Names, spec: EndpointSpec, network: Request) -> Resource:
    container: Request = {"Image": spec.image, "Environment": container_environment(spec)}
    if isinstance(spec.source, BucketModel):
        prefix = {"S3Uri": spec.source.uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
        container["ModelDataSource"] = {"S3DataSource": prefix}
    request = {"PrimaryContainer": container, "ExecutionRoleArn": spec.role_arn, **network}
    return Resource("model", names.hashed(request), request)


def _network(spec: EndpointSpec) -> Request:
    found: Request = {"EnableNetworkIsolation": True} if spec.isolated else {}
    if spec.vpc is not None:
        found["VpcConfig"] = {"Subnets": list(spec.vpc.subnets), "SecurityGroupIds": list(spec.vpc.security_groups)}
    return found


def _variant(spec: EndpointSpec) -> Request:
    found: Request = {
        "VariantName": VARIANT,
        "InstanceType": spec.instance_type,
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
        **_start_limits(spec),
    }
    if spec.inference_ami is not None:
        found["InferenceAmiVersion"] = spec.inference_ami
    return found


def _start_limits(spec: EndpointSpec) -> Request:
    return {
        "ModelDataDownloadTimeoutInSeconds": spec.limits.download_s,
        "ContainerStartupHealthCheckTimeoutInSeconds": spec.limits.startup_s,
    }


def _config(names: Names, spec: EndpointSpec, variant: Request, start: Request, surroundings: Request) -> Resource:
    """The number of instances to `start` with is not in the name: another one needs no new fleet, scaling brings it."""
    if spec.key_arn is not None and takes_volume_key(spec.instance_type):
        surroundings = {**surroundings, "KmsKeyId": spec.key_arn}
    name = names.hashed({"ProductionVariants": [variant], **surroundings})
    return Resource("config", name, {"ProductionVariants": [{**variant, **start}], **surroundings})


def _endpoint(spec: EndpointSpec, config: Resource) -> Resource:
    return Resource("endpoint", spec.endpoint, {"EndpointConfigName": config.name})


def _component(names: Names, spec: EndpointSpec, model: Resource) -> Resource:
    devices = gpus(spec.instance_type)
    request = {
        "EndpointName": spec.endpoint,
        "VariantName": VARIANT,
        "Specification": {
            "ModelName": model.name,
            "StartupParameters": _start_limits(spec),
            "ComputeResourceRequirements": {
                "NumberOfAcceleratorDevicesRequired": devices,
                "MinMemoryRequiredInMb": MEMORY_MB,
            },
        },
    }
    return Resource("component", names.component, request)


def _target(scaled: str, dimension: str, fewest: int, most: int) -> Resource:
    return Resource("target", scaled, {"ScalableDimension": dimension, "MinCapacity": fewest, "MaxCapacity": most})


def _load_policy(names: Names, scaled: str, dimension: str, metric: str) -> Resource:
    request = {
        "ResourceId": scaled,
        "ScalableDimension": dimension,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": REQUESTS_PER_MINUTE,
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            "ScaleOutCooldown": SCALE_OUT_S,
            "ScaleInCooldown": SCALE_IN_S,
        },
    }
    return Resource("policy", names.load_policy, request)


def _wake_policy(names: Names, scaled: str) -> Resource:
    request = {
        "ResourceId": scaled,
        "ScalableDimension": COPIES,
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Maximum",
            "Cooldown": SCALE_OUT_S,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    }
    return Resource("policy", names.wake_policy, request)


def _wake_alarm(names: Names, of: Mapping[str, str]) -> Resource:
    """At least one, not more than one: with `>` a single request never wakes the endpoint."""
    watch = {"Statistic": "Maximum", "EvaluationPeriods": 1, "Threshold": 1.0}
    request = {**_alarm("NoCapacityInvocationFailures", of, watch), "AlarmActions": [POLICY_ACTION + names.wake_policy]}
    return Resource("alarm", names.wake_alarm, request)


def _rollback_alarms(names: Names, spec: EndpointSpec, of: Mapping[str, str]) -> tuple[Resource, Resource]:
    limits = spec.thresholds
    errors = {"Statistic": "Sum", "EvaluationPeriods": 2, "Threshold": float(limits.errors_per_minute)}
    microseconds = limits.latency_s * 1e6  # the unit of ModelLatency
    latency = {"ExtendedStatistic": "p90", "EvaluationPeriods": 3, "Threshold": microseconds}
    return (
        Resource("alarm", names.errors_alarm, _alarm("Invocation5XXErrors", of, errors)),
        Resource("alarm", names.latency_alarm, _alarm("ModelLatency", of, latency)),
    )


def _alarm(metric: str, of: Mapping[str, str], watch: Mapping[str, object]) -> Request:
    return {
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in of.items()],
        "Period": 60,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        **watch,
    }
