"""All rules, and the judgement of a whole program: what the tests and the engine both run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infra.policies import cluster, containers, data, functions, perimeter, permissions, pods, tagging, traffic
from infra.policies.rules import Resource, ResourceRule, StackRule, parsed

if TYPE_CHECKING:
    from collections.abc import Sequence

RESOURCE_RULES: tuple[ResourceRule, ...] = (
    *containers.RULES,
    *functions.RULES,
    *perimeter.RULES,
    *permissions.RULES,
    *data.RULES,
    *cluster.RULES,
    *pods.RULES,
    *traffic.RULES,
    *tagging.RULES,
)
STACK_RULES: tuple[StackRule, ...] = (
    *data.STACK_RULES,
    *functions.STACK_RULES,
    *cluster.STACK_RULES,
    *pods.STACK_RULES,
    *traffic.STACK_RULES,
    *tagging.STACK_RULES,
)


def tags_of(props: Mapping[str, Any], provider: Mapping[str, Any]) -> dict[str, str]:
    """A resource's own tags over its provider's default ones."""
    defaults = parsed(provider.get("defaultTags") or "{}") or {}
    own = props.get("tags")
    return {**(defaults.get("tags") or {}), **(own if isinstance(own, Mapping) else {})}  # a group's are a list


def violations(resources: Sequence[Resource]) -> list[tuple[str, str]]:
    """Rule and text of everything that is wrong."""
    found = [
        (rule.name, f"{resource.name} {problem}")
        for rule in RESOURCE_RULES
        for resource in resources
        if rule.covers(resource.type)
        for problem in rule.check(resource)
    ]
    return found + [(rule.name, problem) for rule in STACK_RULES for problem in rule.check(resources)]
