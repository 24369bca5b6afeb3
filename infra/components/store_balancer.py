"""One address before several instances of a store: an internal network load balancer that leaves out sick ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components import firewall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site


@dataclass(frozen=True)
class StoreBalancerArgs:
    """What it is built from.

    Attributes:
        vpc_id: its network.
        subnet_ids: private subnets.
        hosts: security group of the instances.
        addresses: of the instances.
        port: of the store.
        health_path: what a ready instance answers with 200.
    """

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    hosts: pulumi.Input[str]
    addresses: Sequence[pulumi.Input[str]]
    port: int
    health_path: str


class StoreBalancer(pulumi.ComponentResource):
    """`address` is its name in DNS; `security_group_id` lets nobody in by itself."""

    address: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(
        self, name: str, site: Site, args: StoreBalancerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:StoreBalancer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = firewall.group(f"{name}-front", args.vpc_id, "Store: the service in, its instances out", self)
        firewall.connect(
            f"{name}-front-hosts",
            source=group,
            target=args.hosts,
            port=args.port,
            description="Balancer to instances",
            parent=self,
        )
        balancer = aws.lb.LoadBalancer(
            f"{name}-front",
            name_prefix="rag-",
            load_balancer_type="network",
            internal=True,
            security_groups=[group],
            subnets=args.subnet_ids,
            enable_cross_zone_load_balancing=True,
            enable_deletion_protection=site.protect,
            opts=child,
        )
        targets = aws.lb.TargetGroup(
            f"{name}-targets",
            name_prefix="rag-",
            port=args.port,
            protocol="TCP",
            target_type="ip",
            vpc_id=args.vpc_id,
            deregistration_delay=30,
            health_check={
                "protocol": "HTTP",
                "path": args.health_path,
                "interval": 10,
                "healthy_threshold": 2,
                "unhealthy_threshold": 2,
            },
            opts=child,
        )
        for number, address in enumerate(args.addresses):
            aws.lb.TargetGroupAttachment(
                f"{name}-target-{number}",
                target_group_arn=targets.arn,
                target_id=address,
                port=args.port,
                opts=child,
            )
        aws.lb.Listener(
            f"{name}-front",
            load_balancer_arn=balancer.arn,
            port=args.port,
            protocol="TCP",
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            opts=child,
        )
        self.address, self.security_group_id = balancer.dns_name, group
        self.register_outputs({"address": self.address})
