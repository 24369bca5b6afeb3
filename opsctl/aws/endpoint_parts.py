"""How each kind of part of a model endpoint is made, changed and removed at AWS; one class per kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from opsctl.aws.endpoint_state import NAMESPACE, Clients, policy_arn
from opsctl.endpoint.resources import POLICY_ACTION
from opsctl.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsctl.endpoint.resources import Request, Resource


class Handler(Protocol):
    """What can be done with one kind of part."""

    def create(self, new: Resource) -> None:
        """Make it."""

    def change(self, new: Resource, how: Request) -> None:
        """Bring it to its request."""

    def remove(self, old: Resource) -> None:
        """Delete it."""


@dataclass(frozen=True, slots=True)
class _AtAws:
    clients: Clients
    tags: Mapping[str, str]

    @property
    def tag_list(self) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    def change(self, new: Resource, how: Request) -> None:
        """What is named by its content is never changed."""
        raise NotImplementedError(f"{new.kind} {new.name}: {how}")


class Models(_AtAws):
    """Models."""

    def create(self, new: Resource) -> None:
        """Make it."""
        self.clients.sagemaker.create_model(ModelName=new.name, Tags=self.tag_list, **new.request)

    def remove(self, old: Resource) -> None:
        """Delete it."""
        self.clients.sagemaker.delete_model(ModelName=old.name)


class Configs(_AtAws):
    """Endpoint configs."""

    def create(self, new: Resource) -> None:
        """Make it; a region's refusal of a minimum of none is told with the alternative."""
        try:
            self.clients.sagemaker.create_endpoint_config(
                EndpointConfigName=new.name, Tags=self.tag_list, **new.request
            )
        except ClientError as exc:
            if "MinInstanceCount" not in str(exc):
                raise
            region = self.clients.sagemaker.meta.region_name
            raise CloudRefused(
                f"{region} refuses to scale to zero: {exc.response['Error']['Message']}",
                next_step="set generation.scaling.min to 1, or choose another region; nothing was paid for",
            ) from exc

    def remove(self, old: Resource) -> None:
        """Delete it."""
        self.clients.sagemaker.delete_endpoint_config(EndpointConfigName=old.name)


class Endpoints(_AtAws):
    """Endpoints."""

    def create(self, new: Resource) -> None:
        """Make it."""
        self.clients.sagemaker.create_endpoint(EndpointName=new.name, Tags=self.tag_list, **new.request)

    def change(self, new: Resource, how: Request) -> None:
        """Switch it to another config."""
        self.clients.sagemaker.update_endpoint(EndpointName=new.name, **new.request, **how)

    def remove(self, old: Resource) -> None:
        """Delete it."""
        self.clients.sagemaker.delete_endpoint(EndpointName=old.name)


class Components(_AtAws):
    """Inference components."""

    def create(self, new: Resource) -> None:
        """Make it, with one copy: SageMaker takes no component that begins without any."""
        self.clients.sagemaker.create_inference_component(
            InferenceComponentName=new.name, RuntimeConfig={"CopyCount": 1}, Tags=self.tag_list, **new.request
        )

    def change(self, new: Resource, how: Request) -> None:
        """Bring it to another model; a sleeping one is woken, or the update would prove nothing."""
        now = self.clients.sagemaker.describe_inference_component(InferenceComponentName=new.name)
        asleep = not now["RuntimeConfig"].get("DesiredCopyCount")
        copies = {"RuntimeConfig": {"CopyCount": 1}} if asleep else {}
        self.clients.sagemaker.update_inference_component(
            InferenceComponentName=new.name, Specification=new.request["Specification"], **copies, **how
        )

    def remove(self, old: Resource) -> None:
        """Delete it."""
        self.clients.sagemaker.delete_inference_component(InferenceComponentName=old.name)


class Targets(_AtAws):
    """Scalable targets; their name is the id of what is scaled."""

    def create(self, new: Resource) -> None:
        """Register it."""
        self._put(new, {"Tags": dict(self.tags)})

    def change(self, new: Resource, how: Request) -> None:
        """Set its bounds."""
        self._put(new, how)

    def remove(self, old: Resource) -> None:
        """Deregister it."""
        self.clients.scaling.deregister_scalable_target(
            ServiceNamespace=NAMESPACE, ResourceId=old.name, ScalableDimension=old.request["ScalableDimension"]
        )

    def _put(self, new: Resource, more: Request) -> None:
        self.clients.scaling.register_scalable_target(
            ServiceNamespace=NAMESPACE, ResourceId=new.name, **new.request, **more
        )


class Policies(_AtAws):
    """Scaling policies."""

    def create(self, new: Resource) -> None:
        """Put it."""
        self.clients.scaling.put_scaling_policy(ServiceNamespace=NAMESPACE, PolicyName=new.name, **new.request)

    def change(self, new: Resource, how: Request) -> None:
        """Put it again."""
        del how
        self.create(new)

    def remove(self, old: Resource) -> None:
        """Delete it."""
        self.clients.scaling.delete_scaling_policy(
            ServiceNamespace=NAMESPACE,
            PolicyName=old.name,
            ResourceId=old.request["ResourceId"],
            ScalableDimension=old.request["ScalableDimension"],
        )


class Alarms(_AtAws):
    """Metric alarms; an action `policy:<name>` stands for that policy's ARN."""

    def create(self, new: Resource) -> None:
        """Put it."""
        self._put(new, {"Tags": self.tag_list})

    def change(self, new: Resource, how: Request) -> None:
        """Put it again."""
        self._put(new, how)

    def remove(self, old: Resource) -> None:
        """Delete it."""
        self.clients.cloudwatch.delete_alarms(AlarmNames=[old.name])

    def _put(self, new: Resource, more: Request) -> None:
        request = dict(new.request)
        if "AlarmActions" in request:
            request["AlarmActions"] = [self._arn(new, action) for action in request["AlarmActions"]]
        self.clients.cloudwatch.put_metric_alarm(AlarmName=new.name, **request, **more)

    def _arn(self, alarm: Resource, action: str) -> str:
        if not action.startswith(POLICY_ACTION):
            return action
        component = next(each["Value"] for each in alarm.request["Dimensions"])
        found = policy_arn(self.clients, f"inference-component/{component}", action.removeprefix(POLICY_ACTION))
        if found is None:
            raise CloudRefused(f"{action} isn't there yet", next_step="run the same command again")
        return found


HANDLERS: dict[str, type[_AtAws]] = {
    "model": Models,
    "config": Configs,
    "endpoint": Endpoints,
    "component": Components,
    "target": Targets,
    "policy": Policies,
    "alarm": Alarms,
}
