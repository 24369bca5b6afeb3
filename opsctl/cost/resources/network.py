"""What the network and the front door cost."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from opsctl.cost.components import KIB_PER_GIB, Component, Situation, count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.offline import Declared

CONNECTIONS_PER_LCU_HOUR = Decimal(25 * 3600)  # new connections; the other dimensions of an LCU are below


def nat_gateway(gateway: Declared, at: Situation) -> Iterator[Component]:
    """Hours, and an equal share of what leaves through all gateways."""
    share = Decimal(len(at.program.of("ec2/natGateway:NatGateway")))
    of = partial(Component, resource=gateway.name, part="network")
    yield of(name="NAT gateway", price_key="nat.hour", quantity=at.hours, unit="hour")
    yield of(
        name="NAT traffic, base",
        price_key="nat.gb",
        quantity=at.usage.amount("nat_base_gib_per_month") / share,
        unit="GB",
        assumption=at.usage.because("nat_base_gib_per_month"),
    )
    yield Component(
        resource=f"{gateway.name}-queries",
        part="network",
        name="NAT traffic, queries",
        price_key="nat.gb",
        quantity=at.queries * at.usage.amount("upstream_kib_per_query") / KIB_PER_GIB / share,
        unit="GB",
        kind="usage",
        assumption=at.usage.because("queries_per_month", "upstream_kib_per_query"),
    )


def elastic_ip(address: Declared, at: Situation) -> Iterator[Component]:
    """A public IPv4 address costs the same used or idle."""
    yield Component(
        resource=address.name,
        part="network",
        name="public IPv4",
        price_key="ipv4.hour",
        quantity=at.hours,
        unit="hour",
    )


def endpoint(interface: Declared, at: Situation) -> Iterator[Component]:
    """An interface endpoint by zone; a gateway endpoint is free."""
    if interface.inputs.get("vpcEndpointType") != "Interface":
        return
    zones = count(interface.inputs, "subnetIds")
    yield Component(
        resource=interface.name,
        part="network",
        name=f"interface endpoint, {zones} zones",
        price_key="vpc_endpoint.hour",
        quantity=at.hours * zones,
        unit="hour",
    )


def load_balancer(front: Declared, at: Situation) -> Iterator[Component]:
    """Hours, one public address per zone, and capacity units of whichever dimension is the largest."""
    if front.inputs.get("loadBalancerType") == "network":
        yield _inner_balancer(front, at)
        return
    zones = 0 if front.inputs.get("internal") else count(front.inputs, "subnets")
    yield from balancer(front.name, zones, at)


def balancer(resource: str, zones: int, at: Situation) -> Iterator[Component]:
    """An application load balancer with public addresses in so many zones."""
    of = partial(Component, resource=resource, part="front")
    yield of(name="load balancer", price_key="alb.hour", quantity=at.hours, unit="hour")
    if zones:
        yield of(
            name=f"public IPv4 of the balancer, {zones} zones",
            price_key="ipv4.hour",
            quantity=at.hours * zones,
            unit="hour",
        )
    by_connections = at.queries / CONNECTIONS_PER_LCU_HOUR
    by_bytes = at.queries * at.usage.amount("response_kib_per_query") / KIB_PER_GIB  # 1 GB an hour is one unit
    yield of(
        name="capacity units (LCU)",
        price_key="alb.lcu_hour",
        quantity=max(by_connections, by_bytes),
        unit="LCU-hour",
        kind="usage",
        assumption=at.usage.because("queries_per_month", "response_kib_per_query"),
    )


def _inner_balancer(balancer: Declared, at: Situation) -> Component:
    """Between the tasks and a self-hosted cluster; its capacity units come to cents."""
    return Component(
        resource=balancer.name,
        part="data",
        name="network load balancer",
        price_key="nlb.hour",
        quantity=at.hours,
        unit="hour",
    )


def web_acl(acl: Declared, at: Situation) -> Iterator[Component]:
    """The ACL, each of its rules (a managed group counts as one), and every request that it looks at."""
    of = partial(Component, resource=acl.name, part="front")
    rules = count(acl.inputs, "rules") if acl.inputs.get("rules") else 0
    yield of(name="web ACL", price_key="waf.acl_month", quantity=Decimal(1), unit="ACL-month")
    yield of(name=f"{rules} rules", price_key="waf.rule_month", quantity=Decimal(rules), unit="rule-month")
    yield of(
        name="requests looked at",
        price_key="waf.request",
        quantity=at.queries,
        unit="request",
        kind="usage",
        assumption=at.usage.because("queries_per_month"),
    )
