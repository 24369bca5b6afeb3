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
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.security_group_id = self._group()
        balancer = aws.lb.LoadBalancer(
            f"{name}-front",
            name_prefix="rag-",
            load_balancer_type="network",
            internal=True,
            security_groups=[self.security_group_id],
            subnets=args.subnet_ids,
            enable_cross_zone_load_balancing=True,
            enable_deletion_protection=site.protect,
            opts=self._child,
        )
        aws.lb.Listener(
            f"{name}-front",
            load_balancer_arn=balancer.arn,
            port=args.port,
            protocol="TCP",
            default_actions=[{"type": "forward", "target_group_arn": self._targets()}],
            opts=self._child,
        )
        self.address = balancer.dns_name
        self.register_outputs({"address": self.address})

    def _group(self) -> pulumi.Output[str]:
        group = firewall.group(
            f"{self._name}-front", self._args.vpc_id, "Store: the service in, its instances out", self
        )
        firewall.connect(
            f"{self._name}-front-hosts",
            source=group,
            target=self._args.hosts,
            port=self._args.port,
            description="Balancer to instances",
            parent=self,
        )
        return group

    def _targets(self) -> pulumi.Output[str]:
        name, args = self._name, self._args
        ready = {"protocol": "HTTP", "path": args.health_path, "interval": 10}
        targets = aws.lb.TargetGroup(
            f"{name}-targets",
            name_prefix="rag-",
            port=args.port,
            protocol="TCP",
            target_type="ip",
            vpc_id=args.vpc_id,
            deregistration_delay=30,
            health_check={**ready, "healthy_threshold": 2, "unhealthy_threshold": 2},
            opts=self._child,
        )
        for number, address in enumerate(args.addresses):
            aws.lb.TargetGroupAttachment(
                f"{name}-target-{number}",
                target_group_arn=targets.arn,
                target_id=address,
                port=args.port,
                opts=self._child,
            )
        arn: pulumi.Output[str] = targets.arn
        return arn
