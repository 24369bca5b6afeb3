"""From what is to what is wanted, as steps in an order in which the old endpoint serves all along. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsctl.endpoint.resources import Request, Resource, resources
from opsctl.endpoint.rollout import deployment
from opsctl.endpoint.state import BROKEN, Part, differences
from opsctl.endpoint.steps import Change, Create, Remove, Step, resource_of
from opsctl.errors import CheckFailed, NotUsable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opsctl.endpoint.resources import Key
    from opsctl.endpoint.rollout import Strategy
    from opsctl.endpoint.spec import EndpointSpec
    from opsctl.endpoint.state import State

REMOVAL = ("policy", "target", "alarm", "component", "endpoint", "config", "model")
Parts = dict["Key", Part]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan has to reach.

    Attributes:
        made: all that is to be there, in the order in which it can be made.
        kept: what an earlier release needs, so that a rollback is one switch; all else goes.
    """

    made: tuple[Resource, ...]
    kept: frozenset[Key] = frozenset()
    strategy: Strategy = "all-at-once"


def wanted(spec: EndpointSpec, earlier: Iterable[EndpointSpec] = (), strategy: Strategy = "all-at-once") -> Wanted:
    """The objects of `spec`, keeping models and configs of `earlier` ones."""
    kept = (each for old in earlier for each in resources(old) if each.kind in {"model", "config"})
    return Wanted(resources(spec), frozenset(each.key for each in kept), strategy)


def plan(current: State, to: Wanted) -> tuple[Step, ...]:
    """The steps from `current` to `to`; none where they are equal.

    Raises:
        NotUsable: the endpoint would have to change its shape, which SageMaker can't do.
    """
    _refuse_another_shape(current, to)
    parts: Parts = dict(current.parts)
    steps: list[Step] = []
    for resource in to.made:
        for part in _in_the_way(resource, parts, to):
            steps.append(Remove(resource_of(part)))
            del parts[part.key]
        found = parts.get(resource.key)
        if found is None:
            steps.append(Create(resource))
        elif differences(resource, found) or found.status not in {None, "InService"}:
            steps.append(Change(resource, resource_of(found), _how(resource, to)))
    useful = to.kept | {resource.key for resource in to.made}
    return (*steps, *_removals(part for part in parts.values() if part.key not in useful))


def removal(current: State) -> tuple[Step, ...]:
    """The steps that leave nothing of the endpoint."""
    return _removals(current.parts.values())


def refuse_foreign(current: State, endpoint: str, stack: str) -> None:
    """Stop before anything is touched that another stack, or nobody, has put its name on.

    Raises:
        CheckFailed
    """
    for name, owner in current.foreign.items():
        holder = f"stack '{owner}'" if owner else "no stack: it was made by hand"
        raise CheckFailed(
            f"'{name}' belongs to {holder}, and endpoint '{endpoint}' of stack '{stack}' would take it over",
            next_step="set generation.endpoint to a name that is free, or delete that endpoint first",
        )


def _removals(parts: Iterable[Part]) -> tuple[Step, ...]:
    ordered = sorted(parts, key=lambda part: (REMOVAL.index(part.kind), part.name))
    return tuple(Remove(resource_of(part)) for part in ordered)


def _in_the_way(resource: Resource, parts: Parts, to: Wanted) -> list[Part]:
    """What must go before `resource` can be made or changed."""
    found = parts.get(resource.key)
    if found is None:
        return []
    if resource.kind == "endpoint" and found.status in BROKEN:  # SageMaker updates no failed endpoint
        return _of(parts, "policy", "target", "component", "endpoint")
    if resource.kind == "component" and found.status in BROKEN:
        return _of(parts, "policy", "target", "component")
    if resource.kind == "endpoint" and differences(resource, found) and _other_instances(found, parts, to):
        return [part for part in _of(parts, "policy", "target") if "variant/" in _scaled(part)]
    return []


def _of(parts: Parts, *kinds: str) -> list[Part]:
    return [part for kind in kinds for part in parts.values() if part.kind == kind]


def _scaled(part: Part) -> str:
    return part.name if part.kind == "target" else str(part.request.get("ResourceId"))


def _other_instances(endpoint: Part, parts: Mapping[Key, Part], to: Wanted) -> bool:
    """Whether the update changes the instance type: SageMaker refuses that while the variant is scaled."""
    now = parts.get(("config", str(endpoint.request.get("EndpointConfigName"))))
    then = next(each for each in to.made if each.kind == "config")
    return now is None or _variant(now.request).get("InstanceType") != _variant(then.request).get("InstanceType")


def _variant(config: Mapping[str, object]) -> Request:
    found = config.get("ProductionVariants")
    return dict(found[0]) if isinstance(found, list) and found else {}


def _how(resource: Resource, to: Wanted) -> Request:
    endpoint = next(each.name for each in to.made if each.kind == "endpoint")
    if resource.kind == "component":
        return {"DeploymentConfig": deployment("component", endpoint, "rolling")}
    if resource.kind != "endpoint":
        return {}
    if any(each.kind == "component" for each in to.made):  # an endpoint that hosts components is updated in place
        return {"DeploymentConfig": deployment("endpoint", endpoint, "rolling")}
    return {
        "DeploymentConfig": deployment("endpoint", endpoint, to.strategy),
        "RetainAllVariantProperties": True,  # keeps the instances that scaling has started
    }


def _refuse_another_shape(current: State, to: Wanted) -> None:
    endpoint = current.endpoint
    if endpoint is None or endpoint.status in BROKEN:
        return
    config = current.parts.get(("config", str(endpoint.request.get("EndpointConfigName"))))
    hosts = current.component is not None if config is None else "ModelName" not in _variant(config.request)
    if hosts == any(each.kind == "component" for each in to.made):
        return
    now, then = ("scales to zero", "always has an instance") if hosts else ("always has an instance", "scales to zero")
    raise NotUsable(
        f"endpoint '{endpoint.name}' {now}, and SageMaker can't change it into one that {then}",
        next_step=f"set generation.endpoint to a new name, deploy both, then delete '{endpoint.name}'; or, if it "
        f"may be away for some ten minutes, run `opsctl endpoint delete {endpoint.name}` and deploy again",
    )
