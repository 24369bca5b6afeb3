"""Roles of pods: EKS Pod Identity binds each to one service account of one cluster; no node and no key stands in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.components.permissions import Statement, document, role

if TYPE_CHECKING:
    from infra.components.account import Site

PODS = "pods.eks.amazonaws.com"


@dataclass(frozen=True)
class Account:
    """A service account of the cluster called `cluster`."""

    cluster: str
    namespace: str
    name: str


def trust(site: Site, account: Account) -> pulumi.Output[str]:
    """Whom a pod's role trusts: EKS, for this service account of this cluster alone."""
    bound: dict[str, pulumi.Input[str]] = {
        "aws:RequestTag/eks-cluster-arn": site.arn("eks", f"cluster/{account.cluster}"),
        "aws:RequestTag/kubernetes-namespace": account.namespace,
        "aws:RequestTag/kubernetes-service-account": account.name,
    }
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": PODS},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": bound},
    }
    return document(statement)


def pod_role(
    name: str,
    site: Site,
    account: Account,
    *,
    description: str,
    parent: pulumi.Resource,
    statements: Sequence[Statement] = (),
    managed: Sequence[str] = (),
) -> aws.iam.Role:
    """The role of a service account: its own statements, and policies that AWS keeps for its add-ons."""
    made = role(name, description=description, trust=trust(site, account), statements=statements, parent=parent)
    attach(name, made, managed, parent)
    return made


def attach(name: str, to: aws.iam.Role, managed: Sequence[str], parent: pulumi.Resource) -> list[pulumi.Resource]:
    """Policies that AWS keeps, by name."""
    return [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy.rpartition('/')[2]}",
            role=to.name,
            policy_arn=f"arn:aws:iam::aws:policy/{policy}",
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for policy in managed
    ]


def bind(
    name: str, account: Account, cluster: pulumi.Input[str], to: aws.iam.Role, parent: pulumi.Resource
) -> aws.eks.PodIdentityAssociation:
    """Give the role to the service account, which need not be there yet."""
    return aws.eks.PodIdentityAssociation(
        name,
        cluster_name=cluster,
        namespace=account.namespace,
        service_account=account.name,
        role_arn=to.arn,
        opts=pulumi.ResourceOptions(parent=parent),
    )
