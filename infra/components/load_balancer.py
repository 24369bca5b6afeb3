"""The front door: an application load balancer that speaks TLS only, and the group of targets behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.components import firewall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site
    from infra.components.bucket import PrivateBucket

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"  # TLS 1.2 and 1.3
IDLE_S = 60  # budgets: request deadline 25 s < idle timeout 60 s < the server's keep-alive 75 s
DEREGISTRATION_S = 30  # budgets: deadline 25 s < deregistration 30 s < stop timeout 45 s
ANYWHERE = ("0.0.0.0/0",)


@dataclass(frozen=True)
class LoadBalancerArgs:
    """What the front door is built from.

    Attributes:
        vpc_id: its network.
        subnet_ids: public subnets, or private ones for an internal balancer.
        logs: takes the access log.
        certificate_arn: None serves plain HTTP (development only, refused elsewhere by the config).
        cidrs: who may connect.
        prefix_list: connects instead of `cidrs`, where a distribution stands before the balancer.
        target_port: where the service listens.
    """

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    logs: PrivateBucket
    certificate_arn: pulumi.Input[str] | None
    cidrs: Sequence[str]
    prefix_list: pulumi.Input[str] | None
    target_port: int


class LoadBalancer(pulumi.ComponentResource):
    """Listeners, target group and security group; `listener` is what a service must wait for."""

    def __init__(
        self, name: str, site: Site, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:LoadBalancer", name, None, opts)
        self._name, self._args = name, args
        self.security_group_id = firewall.group(
            f"{name}-front", args.vpc_id, "Load balancer: the clients in, the service out", self
        )
        self._let_in([80] if args.certificate_arn is None else [443, 80])
        self._balancer = aws.lb.LoadBalancer(
            f"{name}-lb",
            name_prefix="rag-",
            load_balancer_type="application",
            internal=False,
            security_groups=[self.security_group_id],
            subnets=args.subnet_ids,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=site.protect,
            idle_timeout=IDLE_S,
            access_logs={"bucket": args.logs.bucket, "prefix": "lb", "enabled": True},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.logs.ready]),
        )
        self._targets = aws.lb.TargetGroup(
            f"{name}-targets",
            name_prefix="rag-",
            port=args.target_port,
            protocol="HTTP",
            target_type="ip",
            vpc_id=args.vpc_id,
            deregistration_delay=DEREGISTRATION_S,
            load_balancing_algorithm_type="least_outstanding_requests",  # answers differ in length a hundredfold
            health_check={
                "path": "/health",
                "matcher": "200",
                "interval": 10,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 2,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.listener = self._listeners()
        self.arn, self.arn_suffix = self._balancer.arn, self._balancer.arn_suffix
        self.dns_name, self.zone_id = self._balancer.dns_name, self._balancer.zone_id
        self.target_group_arn, self.target_group_suffix = self._targets.arn, self._targets.arn_suffix
        self.register_outputs({"arn": self.arn, "dnsName": self.dns_name})

    def _let_in(self, ports: Sequence[int]) -> None:
        sources: dict[str, dict[str, Any]] = {cidr.replace("/", "-"): {"cidr_ipv4": cidr} for cidr in self._args.cidrs}
        if self._args.prefix_list is not None:
            sources = {"cdn": {"prefix_list_id": self._args.prefix_list}}
            ports = [443]  # the list's addresses count against the group's limit of 60 rules
        for port in ports:
            for label, source in sources.items():
                aws.vpc.SecurityGroupIngressRule(
                    f"{self._name}-in-{port}-{label}",
                    security_group_id=self.security_group_id,
                    description="HTTPS" if port == 443 else "HTTP",  # noqa: PLR2004 - the port's own name
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    opts=pulumi.ResourceOptions(parent=self),
                    **source,
                )

    def _listeners(self) -> aws.lb.Listener:
        forward = {"type": "forward", "target_group_arn": self._targets.arn}
        if self._args.certificate_arn is None:
            return self._listener("http", 80, "HTTP", forward)
        redirect = {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"}
        self._listener("redirect", 80, "HTTP", {"type": "redirect", "redirect": redirect})
        return self._listener(
            "https", 443, "HTTPS", forward, ssl_policy=TLS_POLICY, certificate_arn=self._args.certificate_arn
        )

    def _listener(
        self,
        what: str,
        port: int,
        protocol: str,
        action: dict[str, Any],
        **tls: pulumi.Input[str],
    ) -> aws.lb.Listener:
        return aws.lb.Listener(
            f"{self._name}-{what}",
            load_balancer_arn=self._balancer.arn,
            port=port,
            protocol=protocol,
            default_actions=[action],
            opts=pulumi.ResourceOptions(parent=self),
            **tls,
        )
