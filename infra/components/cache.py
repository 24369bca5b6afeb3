"""The answer cache: ElastiCache for Valkey in the private subnets, TLS and a token on every connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components.generated import GeneratedToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site

PORT = 6379


@dataclass(frozen=True)
class CacheArgs:
    """What the cache is built from.

    Attributes:
        vpc_id: its network.
        subnet_ids: private subnets.
        key_arn: encrypts it at rest.
        node_type: size of each node.
        nodes: two or more sit in several zones and fail over by themselves.
    """

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    key_arn: pulumi.Input[str]
    node_type: str
    nodes: int


class Cache(pulumi.ComponentResource):
    """`url` is the whole address with its token, a Pulumi secret; `security_group_id` lets nobody in by itself."""

    url: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, site: Site, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:Cache", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        token = GeneratedToken(f"{name}-token", opts=child)
        group = aws.ec2.SecurityGroup(
            f"{name}-cache", vpc_id=args.vpc_id, description="Cache: from the service only", opts=child
        )
        subnets = aws.elasticache.SubnetGroup(f"{name}-subnets", subnet_ids=args.subnet_ids, opts=child)
        replicas = aws.elasticache.ReplicationGroup(
            f"{name}-cache",
            description=f"Answer cache of the stack {site.stack}",
            engine="valkey",
            engine_version="8.0",
            parameter_group_name="default.valkey8",
            node_type=args.node_type,
            num_cache_clusters=args.nodes,
            automatic_failover_enabled=args.nodes > 1,
            multi_az_enabled=args.nodes > 1,
            port=PORT,
            subnet_group_name=subnets.name,
            security_group_ids=[group.id],
            at_rest_encryption_enabled=True,
            kms_key_id=args.key_arn,
            transit_encryption_enabled=True,
            auth_token=token.value,
            auth_token_update_strategy="ROTATE",  # noqa: S106 - a strategy, not a token
            auto_minor_version_upgrade=True,
            apply_immediately=not site.protect,
            snapshot_retention_limit=1 if site.protect else 0,
            opts=child,
        )
        self.security_group_id = group.id
        self.url = pulumi.Output.secret(
            pulumi.Output.concat("rediss://:", token.value, "@", replicas.primary_endpoint_address, f":{PORT}/0")
        )
        self.register_outputs({"url": self.url, "securityGroupId": self.security_group_id})
