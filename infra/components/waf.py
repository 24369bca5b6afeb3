"""The web firewall: managed rule groups (common, known bad inputs, bad addresses) and a rate limit per address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.components.account import Site

# Rules that count instead of block: the service takes bodies up to 32 KiB and refuses larger ones itself, the group's
# limit is 8 KiB; and callers of an API are often servers at a hosting provider.
COUNTED = {
    "AWSManagedRulesCommonRuleSet": ("SizeRestrictions_BODY",),
    "AWSManagedRulesAnonymousIpList": ("HostingProviderIPList",),
}
GROUPS = (
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesAnonymousIpList",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesCommonRuleSet",
)


@dataclass(frozen=True)
class WafArgs:
    """What the firewall is built from.

    Attributes:
        requests_per_5_minutes: limit per client address.
        caller_header: where the client's address is, behind a CDN; None takes the connection's.
        key_arn: encrypts the log of blocked requests.
        log_retention_days: how long it is kept.
    """

    requests_per_5_minutes: int
    caller_header: str | None
    key_arn: pulumi.Input[str]
    log_retention_days: int


def rules(requests_per_5_minutes: int, caller_header: str | None = None) -> list[dict[str, Any]]:
    """The rules in order of evaluation."""
    counted: dict[str, Any] = {"limit": requests_per_5_minutes, "aggregate_key_type": "IP"}
    if caller_header is not None:
        forwarded = {"header_name": caller_header, "fallback_behavior": "MATCH"}  # nobody without it
        counted |= {"aggregate_key_type": "FORWARDED_IP", "forwarded_ip_config": forwarded}
    rate = {
        "name": "rate",
        "priority": 0,
        "action": {"block": {}},
        "statement": {"rate_based_statement": counted},
        "visibility_config": _visible("rate"),
    }
    return [rate, *(_managed(group, number) for number, group in enumerate(GROUPS, start=1))]


def _managed(group: str, priority: int) -> dict[str, Any]:
    statement: dict[str, Any] = {"vendor_name": "AWS", "name": group}
    if group in COUNTED:
        statement["rule_action_overrides"] = [{"name": name, "action_to_use": {"count": {}}} for name in COUNTED[group]]
    return {
        "name": group,
        "priority": priority,
        "override_action": {"none": {}},
        "statement": {"managed_rule_group_statement": statement},
        "visibility_config": _visible(group),
    }


def _visible(metric: str) -> dict[str, Any]:
    return {"cloudwatch_metrics_enabled": True, "metric_name": metric, "sampled_requests_enabled": True}


class Waf(pulumi.ComponentResource):
    """A regional web ACL; `guard` puts it before a load balancer or an API stage."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, site: Site, args: WafArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:Waf", name, None, opts)
        self._name = name
        child = pulumi.ResourceOptions(parent=self)
        acl = aws.wafv2.WebAcl(
            f"{name}-acl",
            scope="REGIONAL",
            description=f"Front of the stack {site.stack}",
            default_action={"allow": {}},
            rules=rules(args.requests_per_5_minutes, args.caller_header),
            visibility_config=_visible("all"),
            opts=child,
        )
        group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=f"aws-waf-logs-rag-{site.stack}",  # WAF writes only to groups with this prefix
            retention_in_days=args.log_retention_days,
            kms_key_id=args.key_arn,
            opts=child,
        )
        aws.wafv2.WebAclLoggingConfiguration(
            f"{name}-logging",
            resource_arn=acl.arn,
            log_destination_configs=[group.arn],
            redacted_fields=[{"single_header": {"name": "authorization"}}, {"single_header": {"name": "x-api-key"}}],
            opts=child,
        )
        self.arn = acl.arn
        self.register_outputs({"arn": self.arn})

    def guard(self, resource_arn: pulumi.Input[str]) -> None:
        """Put the firewall before a resource."""
        aws.wafv2.WebAclAssociation(
            f"{self._name}-guard",
            resource_arn=resource_arn,
            web_acl_arn=self.arn,
            opts=pulumi.ResourceOptions(parent=self),
        )
