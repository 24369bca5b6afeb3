"""What a cluster costs: its control plane, its nodes, and what controllers in it make that no program owns."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from infra import node_pool
from infra.sizing import INSTANCES
from opsctl.cost.components import Component, Situation, number
from opsctl.cost.resources.network import balancer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.offline import Declared

MINUTES_PER_HOUR = 60
# AWS's release calendar, read 2026-11 from endoflife.date: when standard support of a version ends.
STANDARD_ENDS = {
    "1.32": dt.date(2026, 3, 23),
    "1.33": dt.date(2026, 7, 29),
    "1.34": dt.date(2026, 12, 2),
    "1.35": dt.date(2027, 3, 27),
}
SOON = dt.timedelta(days=90)
GIB = {"Ki": Decimal(1) / 2**20, "Mi": Decimal(1) / 2**10, "Gi": Decimal(1), "Ti": Decimal(2**10)}


def control_plane(cluster: Declared, at: Situation) -> Iterator[Component]:
    """Hours of the cluster; under Auto Mode its nodes too, whose types and number are AWS's choice: unpriced."""
    of = partial(Component, resource=cluster.name, part="cluster", quantity=at.hours, unit="hour")
    yield of(name=f"control plane, {cluster.inputs.get('version')}", price_key="eks.cluster_hour")
    if (cluster.inputs.get("upgradePolicy") or {}).get("supportType") != "STANDARD":
        yield of(name="extended support, once the standard one has ended", price_key="eks.extended_support_hour")
    if (cluster.inputs.get("computeConfig") or {}).get("enabled"):
        yield of(name="nodes of Auto Mode", price_key="eks.auto_mode.node_hour")


def warnings(at: Situation, today: dt.date) -> Iterator[str]:
    """What a version that grows old will come to."""
    if at.cfg.topology != "eks":
        return
    version, ends = at.cfg.eks.version, STANDARD_ENDS.get(at.cfg.eks.version)
    if ends is not None and today > ends - SOON:
        state = "ended" if today > ends else "ends"
        yield (
            f"standard support of Kubernetes {version} {state} on {ends}; no extended support is paid (six times "
            "the price), so EKS upgrades by itself then: upgrade before, see docs/operations.md"
        )


def nodes(group: Declared, at: Situation) -> Iterator[Component]:
    """The least number of nodes that always runs, what pods of busy hours add to it, and their root volumes."""
    (kind,) = group.inputs["instanceTypes"]
    bounds = group.inputs["scalingConfig"]
    always, most = number(bounds, "minSize"), number(bounds, "maxSize")
    spot = group.inputs.get("capacityType") == "SPOT"
    price = f"ec2_spot.{kind}.hour" if spot else f"ec2.{kind}.hour"
    of = partial(Component, part="nodes", price_key=price, unit="hour")
    words = f"{kind}{' Spot' if spot else ''}"
    yield of(resource=group.name, name=f"{words}, {always.normalize():f} running", quantity=always * at.hours)
    yield of(
        resource=f"{group.name}-busy",
        name=f"{words}, busy hours",
        quantity=(min(_wanted(kind, at, always), most) - always) * at.hours,
        kind="usage",
        assumption=at.usage.because("queries_per_month", "peak_to_average_ratio"),
    )
    disk = _root_volume(group, at)
    yield Component(
        resource=group.name,
        part="nodes",
        name=f"root volumes, {disk.get('volumeType', 'gp3')}",
        price_key=f"ebs.{disk.get('volumeType', 'gp3')}.gb_month",
        quantity=always * number(disk, "volumeSize"),
        unit="GB-month",
    )


def _wanted(kind: str, at: Situation, always: Decimal) -> Decimal:
    """Nodes, in the mean, for the pods of the service while queries come as they are said to."""
    requests = at.cfg.eks.requests
    if kind not in INSTANCES:
        return always
    each = node_pool.pods_per_node(kind, requests.cpu, requests.memory_gib)
    per_minute = at.queries / (at.hours * MINUTES_PER_HOUR) * at.usage.amount("peak_to_average_ratio")
    pods = max(per_minute / at.cfg.scaling.requests_per_minute, Decimal(at.cfg.service.replicas.min))
    return max(always, pods / each) if each else always


def _root_volume(group: Declared, at: Situation) -> Mapping[str, Any]:
    name = group.name.removesuffix("s")  # nodes -> node
    template = at.program.one("ec2/launchTemplate:LaunchTemplate", name)
    disks = template.inputs.get("blockDeviceMappings") or [{}]
    return disks[0].get("ebs") or {}


def ingress(front: Declared, at: Situation) -> Iterator[Component]:
    """The load balancer that the controller makes of it, with an address in each of its zones."""
    annotations = front.inputs.get("metadata", {}).get("annotations") or {}
    subnets = str(annotations.get("alb.ingress.kubernetes.io/subnets", "")).split(",")
    zones = 0 if annotations.get("alb.ingress.kubernetes.io/scheme") == "internal" else len(subnets)
    yield from balancer(front.name, zones, at)


def stateful_set(store: Declared, _at: Situation) -> Iterator[Component]:
    """The volumes of its pods; the nodes that they run on are there already."""
    spec = store.inputs["spec"]
    for claim in spec.get("volumeClaimTemplates") or ():
        asked = str(claim["spec"]["resources"]["requests"]["storage"])
        yield Component(
            resource=store.name,
            part="data",
            name=f"volumes of {claim['metadata']['name']}",
            price_key="ebs.gp3.gb_month",
            quantity=gib(asked) * number(spec, "replicas", 1),
            unit="GB-month",
        )


def gib(quantity: str) -> Decimal:
    """A quantity of bytes as Kubernetes writes it, in GiB.

    Raises:
        ValueError: it has another shape.
    """
    amount, unit = quantity[:-2], quantity[-2:]
    if unit not in GIB:
        raise ValueError(f"storage is {quantity!r}, and not an amount such as 50Gi")
    return number({"storage": amount}, "storage") * GIB[unit]
