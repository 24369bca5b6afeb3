"""Rules about permissions: actions and resources are named, and nobody acts on another account's behalf."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from infra.policies.rules import Found, Resource, listed, rule, statements

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
POLICY = "aws:iam/policy:Policy"
ROLE = "aws:iam/role:Role"
KEY = "aws:kms/key:Key"
TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"
REPOSITORY_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
# send no source account, or aren't known to, and take roles of their own account only
UNBOUND = {"apigateway.amazonaws.com", "ec2.amazonaws.com", "lambda.amazonaws.com"}
# Controllers of a cluster look around before they act; what these services only show names no resource.
SHOWN_BY = ("autoscaling", "ec2", "elasticloadbalancing")
NO_RESOURCE = {  # actions that name no resource
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricStatistics",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "ec2:DescribeInstances",
    "ec2:DescribeNatGateways",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
    "ecs:DescribeTaskDefinition",
    "logs:DescribeLogGroups",
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListModels",
    # Lambda asks for the interfaces of a function before they exist, and checks the role for them as a whole
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
    "tag:GetResources",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def _allowed(document: object) -> Iterator[dict[str, Any]]:
    yield from (statement for statement in statements(document) if statement.get("Effect") == "Allow")


def least_privilege(policy: Resource) -> Found:
    """Actions are named, resources too where the action has one."""
    for statement in _allowed(policy.props.get("policy")):
        actions = listed(statement.get("Action"))
        wild = [action for action in actions if "*" in action]
        if wild:
            yield f"allows {', '.join(wild)}"
            continue
        narrow = [action for action in actions if action not in NO_RESOURCE and not _only_shows(action)]
        if narrow and "*" in listed(statement.get("Resource")):
            yield f"allows {', '.join(sorted(narrow))} on every resource"


def _only_shows(action: str) -> bool:
    service, _, verb = action.partition(":")
    return service in SHOWN_BY and verb.startswith(("Describe", "Get"))


def invoke_only_named_endpoint(policy: Resource) -> Found:
    """The service calls its own model, not the account's."""
    for statement in _allowed(policy.props.get("policy")):
        if any(action.startswith("sagemaker:Invoke") for action in listed(statement.get("Action"))):
            for resource in listed(statement.get("Resource")):
                name = resource.rpartition("/")[2]
                if "*" in name or name in {"", resource}:
                    yield f"may invoke {resource}"


def _strangers(document: object, unbound: Collection[str] = ()) -> Found:
    """Everybody, and AWS services that aren't held to this account, but for those that can't be."""
    for statement in _allowed(document):
        principal = statement.get("Principal") or {}
        named = listed(principal if isinstance(principal, str) else principal.get("AWS"))
        if "*" in named:
            yield "lets everybody in"
        services = set() if isinstance(principal, str) else set(listed(principal.get("Service"))).difference(unbound)
        if services and not statement.get("Condition"):
            yield f"lets {', '.join(sorted(services))} act for any account"


def trust_is_bound(role: Resource) -> Found:
    """A role is assumed for this account only."""
    yield from _strangers(role.props.get("assumeRolePolicy"), UNBOUND)


def writers_are_bound(policy: Resource) -> Found:
    """A key, topic or bucket serves this account only."""
    yield from _strangers(policy.props.get("policy"))


RULES = (
    rule("iam-least-privilege", least_privilege, "name the actions and resources", ROLE_POLICY, POLICY),
    rule("iam-invoke-only-named-endpoint", invoke_only_named_endpoint, "name the endpoint", ROLE_POLICY, POLICY),
    rule("iam-trust-bound", trust_is_bound, "add the condition aws:SourceAccount", ROLE),
    rule(
        "writers-bound",
        writers_are_bound,
        "name the principal, and the account in a condition",
        KEY,
        TOPIC_POLICY,
        BUCKET_POLICY,
        REPOSITORY_POLICY,
    ),
)
