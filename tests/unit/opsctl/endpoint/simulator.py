"""SageMaker's rules without SageMaker: a cloud in memory that refuses what AWS refuses, and settles at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from opsctl.endpoint.names import Names
from opsctl.endpoint.ports import Conflict, Stored
from opsctl.endpoint.resources import Key, Resource
from opsctl.endpoint.state import Part, State
from opsctl.errors import CloudRefused


def refused(why: str) -> CloudRefused:
    return CloudRefused(why, next_step="none")


@dataclass
class Simulator:
    """One endpoint's parts.

    Attributes:
        failing: models that never get healthy.
        foreign: owners of parts that aren't this stack's.
        served: which model answered after each call, so that a test sees a gap.
    """

    parts: dict[Key, Part] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    foreign: Mapping[str, str | None] = field(default_factory=dict)
    calls: list[tuple[str, Key]] = field(default_factory=list)
    served: list[str | None] = field(default_factory=list)

    def observe(self, names: Names) -> State:
        return State(dict(self.parts), self.foreign)

    def look(self, key: Key) -> Part | None:
        return self.parts.get(key)

    def create(self, resource: Resource) -> None:
        if resource.key in self.parts:
            raise refused(f"{resource.key} is there already")
        self._checked(resource)
        status, reason = self._outcome(resource)
        self.parts[resource.key] = Part(resource.kind, resource.name, resource.request, status, reason)
        self._noted("create", resource.key)

    def change(self, resource: Resource, how: Mapping[str, Any]) -> None:
        found = self.parts[resource.key]
        assert resource.kind not in {"model", "config"}, "SageMaker changes none of these"
        if resource.kind in {"endpoint", "component"}:
            assert how["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"], "no alarms, no rollback"
            if found.status == "Failed":
                raise refused("a failed endpoint can't be updated")
        if resource.kind == "endpoint" and self._type(resource) != self._type(found) and self._variant_is_scaled():
            raise refused("the variant is scaled: its instance type can't change")
        self._checked(resource)
        status, reason = self._outcome(resource)
        if status == "Failed":  # the silent way back
            self.parts[resource.key] = replace(found, status="InService", reason=reason)
        else:
            self.parts[resource.key] = replace(found, request=resource.request, status=status, reason=None)
        self._noted("change", resource.key)

    def remove(self, resource: Resource) -> None:
        kind, name = resource.key
        if kind == "endpoint" and any(part.kind == "component" for part in self.parts.values()):
            raise refused("the endpoint has a component")
        if name in self._in_use(kind):
            raise refused(f"{resource.key} is in use")
        self.parts.pop(resource.key, None)
        if kind == "target":
            scaled = [part for part in self.parts.values() if part.request.get("ResourceId") == name]
            for part in scaled:
                del self.parts[part.key]
        self._noted("remove", resource.key)

    def last_words(self, key: Key) -> tuple[str, ...]:
        return ("the model's last words",)

    def serving(self) -> str | None:
        """The model that answers now."""
        endpoint = next((part for part in self.parts.values() if part.kind == "endpoint"), None)
        if endpoint is None or endpoint.status != "InService":
            return None
        component = next((part for part in self.parts.values() if part.kind == "component"), None)
        if component is not None:
            return component.request["Specification"]["ModelName"] if component.status == "InService" else None
        return self._variant(endpoint.request["EndpointConfigName"]).get("ModelName")

    def _noted(self, verb: str, key: Key) -> None:
        self.calls.append((verb, key))
        self.served.append(self.serving())

    def _checked(self, resource: Resource) -> None:
        request = resource.request
        needed: list[Key] = []
        if resource.kind == "config":
            needed = [("model", each["ModelName"]) for each in request["ProductionVariants"] if "ModelName" in each]
        elif resource.kind == "endpoint":
            needed = [("config", request["EndpointConfigName"])]
        elif resource.kind == "component":
            needed = [("endpoint", request["EndpointName"]), ("model", request["Specification"]["ModelName"])]
        elif resource.kind == "policy":
            needed = [("target", request["ResourceId"])]
        elif resource.kind == "alarm":
            needed = [("policy", each.removeprefix("policy:")) for each in request.get("AlarmActions", ())]
        elif resource.kind == "target":
            kind, name = resource.name.split("/")[:2]
            needed = [("endpoint" if kind == "endpoint" else "component", name)]
        missing = [key for key in needed if key not in self.parts]
        if missing:
            raise refused(f"{resource.key} needs {missing}")

    def _outcome(self, resource: Resource) -> tuple[str | None, str | None]:
        if resource.kind == "endpoint":
            model = self._variant(resource.request["EndpointConfigName"]).get("ModelName")
        elif resource.kind == "component":
            model = resource.request["Specification"]["ModelName"]
        else:
            return None, None
        if model in self.failing:
            return "Failed", "The primary container did not pass the ping health check."
        return "InService", None

    def _in_use(self, kind: str) -> set[str]:
        if kind == "config":
            return {part.request["EndpointConfigName"] for part in self.parts.values() if part.kind == "endpoint"}
        if kind != "model":
            return set()
        configs = {part.name for part in self.parts.values() if part.kind == "config"}
        names = {
            self._variant(name).get("ModelName", "") for name in configs
        }  # stricter than AWS, which lets go of them
        return names | {p.request["Specification"]["ModelName"] for p in self.parts.values() if p.kind == "component"}

    def _variant(self, config: str) -> Mapping[str, Any]:
        found = self.parts.get(("config", config))
        return {} if found is None else dict(found.request["ProductionVariants"][0])

    def _type(self, endpoint: Resource | Part) -> object:
        return self._variant(endpoint.request["EndpointConfigName"]).get("InstanceType")

    def _variant_is_scaled(self) -> bool:
        return any(part.kind == "target" and "/variant/" in part.name for part in self.parts.values())


@dataclass
class Drawer:
    """A document in memory, with versions as S3 has them."""

    text: str | None = None
    version: int = 0
    age_s: float = 0.0

    def read(self) -> Stored | None:
        return None if self.text is None else Stored(self.text, str(self.version), self.age_s)

    def write(self, text: str, on: str | None) -> str:
        if on != (None if self.text is None else str(self.version)):
            raise Conflict("written by somebody else", next_step="read it again")
        self.text, self.version, self.age_s = text, self.version + 1, 0.0
        return str(self.version)
