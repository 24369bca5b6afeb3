"""Security groups that name each other: a connection is one egress and one ingress rule, nothing wider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from collections.abc import Mapping


def group(name: str, vpc_id: pulumi.Input[str], description: str, parent: pulumi.Resource) -> pulumi.Output[str]:
    """A security group without rules."""
    made = aws.ec2.SecurityGroup(
        name,
        vpc_id=vpc_id,
        description=description,
        tags={"Name": name},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    identity: pulumi.Output[str] = made.id
    return identity


def connect(
    name: str,
    *,
    source: pulumi.Input[str],
    target: pulumi.Input[str],
    port: int,
    description: str,
    parent: pulumi.Resource,
) -> None:
    """Let `source` open connections to `target` on one TCP port."""
    child = pulumi.ResourceOptions(parent=parent)
    aws.vpc.SecurityGroupEgressRule(
        f"{name}-out",
        security_group_id=source,
        referenced_security_group_id=target,
        description=description,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        opts=child,
    )
    let_in(name, source=source, target=target, port=port, description=description, parent=parent)


def let_in(
    name: str,
    *,
    source: pulumi.Input[str],
    target: pulumi.Input[str],
    port: int,
    description: str,
    parent: pulumi.Resource,
) -> None:
    """The target's half of a connection, where the source may connect to anything anyway."""
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-in",
        security_group_id=target,
        referenced_security_group_id=source,
        description=description,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def out_to_internet(name: str, source: pulumi.Input[str], ports: Mapping[int, str], parent: pulumi.Resource) -> None:
    """Let `source` open connections to the internet on these ports; each says what for."""
    for port, reason in ports.items():
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-out-{port}",
            security_group_id=source,
            cidr_ipv4="0.0.0.0/0",
            description=reason,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            opts=pulumi.ResourceOptions(parent=parent),
        )
