"""How the parts of a model endpoint are read from AWS, in the words in which they would be made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from opsctl.aws.session import client
from opsctl.endpoint.names import STACK_TAG, VARIANT
from opsctl.endpoint.resources import POLICY_ACTION
from opsctl.endpoint.state import Part, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opsctl.endpoint.names import Names
    from opsctl.endpoint.resources import Request

NAMESPACE = "sagemaker"
NAMES_OF_PARTS = {"Tags", "ModelName", "EndpointConfigName", "AlarmName", "PolicyName", "ServiceNamespace"}


@dataclass(frozen=True, slots=True)
class Clients:
    """The services that an endpoint is spread over."""

    sagemaker: Any
    scaling: Any
    cloudwatch: Any

    @classmethod
    def open(cls, region: str) -> Clients:
        """Clients of one region."""
        return cls(*(client(service, region) for service in ("sagemaker", "application-autoscaling", "cloudwatch")))


def observed(clients: Clients, names: Names, stack: str) -> State:
    """All parts of the endpoint; parts in SageMaker that carry another stack's tag, or none, are named as foreign."""
    foreign: dict[str, str | None] = {}

    def ours(name: str, arn: str) -> bool:
        tags = clients.sagemaker.list_tags(ResourceArn=arn)["Tags"]
        owner = next((tag["Value"] for tag in tags if tag["Key"] == STACK_TAG), None)
        if owner != stack:
            foreign[name] = owner
        return owner == stack

    found = [*_models(clients, names, ours), *_configs(clients, names, ours), *_served(clients, names, ours)]
    policies = _policies(clients, names)
    arns = {policy["PolicyARN"]: POLICY_ACTION + policy["PolicyName"] for policy in policies}
    found += [*_targets(clients, names), *(_policy(clients, policy) for policy in policies)]
    found += _alarms(clients, names, arns)
    return State({part.key: part for part in found}, foreign)


def look_at_endpoint(clients: Clients, name: str) -> Part | None:
    """The endpoint as it is now."""
    said = _described(lambda: clients.sagemaker.describe_endpoint(EndpointName=name))
    return None if said is None else _endpoint(said)


def look_at_component(clients: Clients, name: str) -> Part | None:
    """The inference component as it is now."""
    said = _described(lambda: clients.sagemaker.describe_inference_component(InferenceComponentName=name))
    if said is None:
        return None
    request: Request = {key: said[key] for key in ("EndpointName", "VariantName", "Specification") if key in said}
    return Part("component", name, request, said["InferenceComponentStatus"], said.get("FailureReason"))


def policy_arn(clients: Clients, scaled: str, name: str) -> str | None:
    """The ARN of a scaling policy of the object `scaled`."""
    pages = clients.scaling.describe_scaling_policies(ServiceNamespace=NAMESPACE, ResourceId=scaled)
    return next((each["PolicyARN"] for each in pages["ScalingPolicies"] if each["PolicyName"] == name), None)


def is_missing(exc: ClientError) -> bool:
    """Whether an error says that there is no such object."""
    code, said = exc.response["Error"]["Code"], exc.response["Error"]["Message"]
    return code in {"ObjectNotFoundException", "ResourceNotFound", "ResourceNotFoundException"} or (
        code == "ValidationException" and ("Could not find" in said or "does not exist" in said)
    )


def _models(clients: Clients, names: Names, ours: Callable[[str, str], bool]) -> Iterator[Part]:
    pages = clients.sagemaker.get_paginator("list_models").paginate(NameContains=f"{names.endpoint}-")
    for each in (model for page in pages for model in page["Models"]):
        if names.is_hashed(each["ModelName"]) and ours(each["ModelName"], each["ModelArn"]):
            said = clients.sagemaker.describe_model(ModelName=each["ModelName"])
            yield Part("model", each["ModelName"], _as_request(clients.sagemaker, "CreateModel", said))


def _configs(clients: Clients, names: Names, ours: Callable[[str, str], bool]) -> Iterator[Part]:
    pages = clients.sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=f"{names.endpoint}-")
    for each in (config for page in pages for config in page["EndpointConfigs"]):
        name = each["EndpointConfigName"]
        if names.is_hashed(name) and ours(name, each["EndpointConfigArn"]):
            said = clients.sagemaker.describe_endpoint_config(EndpointConfigName=name)
            yield Part("config", name, _as_request(clients.sagemaker, "CreateEndpointConfig", said))


def _served(clients: Clients, names: Names, ours: Callable[[str, str], bool]) -> Iterator[Part]:
    said = _described(lambda: clients.sagemaker.describe_endpoint(EndpointName=names.endpoint))
    component = look_at_component(clients, names.component)
    if said is not None and ours(names.endpoint, said["EndpointArn"]):
        yield _endpoint(said)
    if component is not None:
        yield component


def _endpoint(said: dict[str, Any]) -> Part:
    request = {"EndpointConfigName": said.get("EndpointConfigName")}  # absent before the first config is in service
    return Part("endpoint", said["EndpointName"], request, said["EndpointStatus"], said.get("FailureReason"))


def _targets(clients: Clients, names: Names) -> Iterator[Part]:
    said = clients.scaling.describe_scalable_targets(ServiceNamespace=NAMESPACE, ResourceIds=_scaled(names))
    for each in said["ScalableTargets"]:
        request = {key: each[key] for key in ("ScalableDimension", "MinCapacity", "MaxCapacity")}
        yield Part("target", each["ResourceId"], request)


def _policies(clients: Clients, names: Names) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for scaled in _scaled(names):
        said = clients.scaling.describe_scaling_policies(ServiceNamespace=NAMESPACE, ResourceId=scaled)
        found += said["ScalingPolicies"]
    return found


def _policy(clients: Clients, said: dict[str, Any]) -> Part:
    return Part("policy", said["PolicyName"], _as_request(clients.scaling, "PutScalingPolicy", said))


def _alarms(clients: Clients, names: Names, arns: dict[str, str]) -> Iterator[Part]:
    said = clients.cloudwatch.describe_alarms(AlarmNames=list(names.alarms))
    for each in said["MetricAlarms"]:
        part = Part("alarm", each["AlarmName"], _as_request(clients.cloudwatch, "PutMetricAlarm", each))
        actions = [arns.get(action, action) for action in each.get("AlarmActions", ())]
        yield replace(part, request={**part.request, "AlarmActions": actions})


def _scaled(names: Names) -> list[str]:
    """What may be scaled: the variant of one shape, the component of the other."""
    return [f"endpoint/{names.endpoint}/variant/{VARIANT}", f"inference-component/{names.component}"]


def _as_request(of: Any, operation: str, said: dict[str, Any]) -> Request:  # noqa: ANN401 - a boto3 client
    """What the operation that makes an object would be given to make it as it was described."""
    takes = of.meta.service_model.operation_model(operation).input_shape.members
    return {key: value for key, value in said.items() if key in takes and key not in NAMES_OF_PARTS}


def _described(ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return ask()
    except ClientError as exc:
        if is_missing(exc):
            return None
        raise
