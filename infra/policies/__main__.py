"""The policy pack (`pulumi up --policy-pack infra/policies`): the rules in the engine's words; decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from infra.policies import pack
from infra.policies.rules import Resource, ResourceRule, StackRule

if TYPE_CHECKING:
    from collections.abc import Callable


def seen(args: Any) -> Resource:  # noqa: ANN401 - ResourceValidationArgs or PolicyResource: the same four fields
    """A resource as the rules see it."""
    provider = args.provider.props if args.provider else {}
    tags = pack.tags_of(args.props, provider)
    return Resource(args.resource_type, args.name, args.props, tags, args.urn)


def resource_policy(rule: ResourceRule) -> ResourceValidationPolicy:
    """A rule about single resources."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if rule.covers(args.resource_type):
            for problem in rule.check(seen(args)):
                report(f"{args.name} {problem}; {rule.fix}")

    return ResourceValidationPolicy(
        name=rule.name,
        description=rule.description,
        validate=validate,
        remediate=_remediation(rule),
        enforcement_level=EnforcementLevel.REMEDIATE if rule.remedy else EnforcementLevel.MANDATORY,
    )


def _remediation(rule: ResourceRule) -> Callable[[ResourceValidationArgs], Any] | None:
    remedy = rule.remedy
    if remedy is None:
        return None

    def remediate(args: ResourceValidationArgs) -> Any:  # noqa: ANN401 - inputs or None, as the engine takes them
        if not rule.covers(args.resource_type):
            return None
        changed = remedy(seen(args))
        return {**args.props, **changed} if changed else None

    return remediate


def stack_policy(rule: StackRule) -> StackValidationPolicy:
    """A rule about the stack as a whole."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for problem in rule.check([seen(resource) for resource in args.resources]):
            report(f"{problem}; {rule.fix}")

    return StackValidationPolicy(
        name=rule.name,
        description=rule.description,
        validate=validate,
        enforcement_level=EnforcementLevel.MANDATORY,
    )


PolicyPack(
    name="rag-platform",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        *(resource_policy(rule) for rule in pack.RESOURCE_RULES),
        *(stack_policy(rule) for rule in pack.STACK_RULES),
    ],
)
