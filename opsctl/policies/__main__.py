"""The policy pack of the budget (`pulumi up --policy-pack opsctl/policies`); decides nothing."""

from __future__ import annotations

import datetime as dt

import pulumi
from pulumi.runtime.config import get_config_env
from pulumi_policy import EnforcementLevel, PolicyPack, ReportViolation, StackValidationArgs, StackValidationPolicy

from opsctl.policies import budget


def policy(name: str, *, development: bool, level: EnforcementLevel) -> StackValidationPolicy:
    """The rule for one kind of stack: production is refused, development is told."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        cfg = budget.config_of(get_config_env(), pulumi.get_stack())
        if cfg.development != development:
            return
        resources = [budget.declared(each.resource_type, each.name, each.urn, each.props) for each in args.resources]
        wrong = budget.verdict(cfg, resources, dt.datetime.now(tz=dt.UTC).date())
        if wrong is not None:
            report(wrong)

    return StackValidationPolicy(
        name=name,
        description="The estimate stays within budget.monthlyUsd.",
        validate=validate,
        enforcement_level=level,
    )


PolicyPack(
    name="rag-platform-budget",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        policy("within-budget", development=False, level=EnforcementLevel.MANDATORY),
        policy("within-budget-development", development=True, level=EnforcementLevel.ADVISORY),
    ],
)
