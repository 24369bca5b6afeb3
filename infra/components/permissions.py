"""IAM policy documents as plain data; roles with exactly the statements they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.components.account import Site

Statement = dict[str, Any]
# Services that send no source account, or aren't known to, when they assume a role: a condition would lock them out.
# They take roles of their own account only: EC2 for its instances, Lambda for its functions, API Gateway for its log
# (aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws#479).
NAME_NO_SOURCE = frozenset({"apigateway.amazonaws.com", "ec2.amazonaws.com", "lambda.amazonaws.com"})
ROLE_NAME, ROLE_PREFIX = 64, 38  # IAM's limits, in characters


def allow(
    actions: Sequence[str], resources: Sequence[pulumi.Input[str]], condition: Mapping[str, Any] | None = None
) -> Statement:
    """A statement that allows `actions` on `resources`."""
    statement: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement | ({"Condition": dict(condition)} if condition else {})


def document(*statements: Statement) -> pulumi.Output[str]:
    """A policy document as JSON."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trusted_by(site: Site, service: str) -> pulumi.Output[str]:
    """A trust policy for an AWS service, on behalf of this account only (no confused deputy)."""
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if service not in NAME_NO_SOURCE:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": site.account}}
    return document(statement)


def role_prefix(name: str) -> str | None:
    """What a role's name starts with where `name` is too long for one; None leaves it to Pulumi.

    IAM takes 64 characters, 38 of a prefix; Pulumi adds a hyphen and seven digits to `name`.
    """
    return None if len(name) + 8 <= ROLE_NAME else f"{name[: ROLE_PREFIX - 1].rstrip('-')}-"


def role(
    name: str,
    *,
    trust: pulumi.Input[str],
    statements: Sequence[Statement],
    parent: pulumi.Resource,
    description: str,
) -> aws.iam.Role:
    """A role with one inline policy; without statements it may do nothing."""
    made = aws.iam.Role(
        name,
        name_prefix=role_prefix(name),
        description=description,
        assume_role_policy=trust,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    if statements:
        aws.iam.RolePolicy(
            f"{name}-policy", role=made.name, policy=document(*statements), opts=pulumi.ResourceOptions(parent=parent)
        )
    return made
