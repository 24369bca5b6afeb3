"""How many nodes a cluster needs. Pure: what runs on every node, once, and as often as the config says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.errors import SizingError
from infra.sizing import INSTANCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.config import StackConfig

# On each node: network, proxy, identity agent, volumes, CloudWatch's agent and Fluent Bit, as they ask by default.
DAEMON_CPU, DAEMON_GIB, DAEMONS = 0.5, 0.5, 7


@dataclass(frozen=True)
class Share:
    """So many pods, and what each asks for."""

    name: str
    count: int
    cpu: float
    gib: float


# Once in a cluster: names, figures, volumes, CloudWatch's operator; and the controllers that this program installs.
SYSTEM = (
    Share("coredns", 2, 0.1, 0.07),
    Share("metrics-server", 2, 0.1, 0.2),
    Share("ebs-csi-controller", 2, 0.06, 0.24),
    Share("cloudwatch operator", 1, 0.1, 0.13),
    Share("load balancer controller", 2, 0.1, 0.13),
    Share("cluster autoscaler", 1, 0.1, 0.25),
)


def free(instance_type: str) -> tuple[float, float, int]:
    """CPU, GiB and pods that a node has beside kubelet's reservations and its daemons.

    Raises:
        SizingError: an instance type whose size isn't known here.
    """
    if instance_type not in INSTANCES:
        raise SizingError(f"the size of {instance_type} isn't known here; known: {', '.join(INSTANCES)}")
    vcpu, gib, pods = INSTANCES[instance_type]
    # kubelet's reservations on EKS: 60m CPU and 10m per core; 255 MiB, 11 MiB per pod, 100 MiB eviction threshold
    return (
        vcpu - 0.06 - 0.01 * vcpu - DAEMON_CPU,
        gib - (255 + 11 * pods + 100) / 1024 - DAEMON_GIB,
        pods - DAEMONS,
    )


def pods_per_node(instance_type: str, cpu: float, memory_gib: float) -> int:
    """How many pods with these requests a node holds beside its daemons.

    Raises:
        SizingError: an instance type whose size isn't known here.
    """
    free_cpu, free_gib, slots = free(instance_type)
    return max(0, min(math.floor(free_cpu / cpu), math.floor(free_gib / memory_gib), slots))


def nodes_for(instance_type: str, shares: Sequence[Share]) -> int:
    """Nodes that hold all of it, the largest pods laid first; 0 where a pod fits on none, or the type isn't known."""
    if instance_type not in INSTANCES:
        return 0
    empty = free(instance_type)
    nodes: list[list[float]] = []
    for share in sorted(shares, key=lambda each: (each.cpu, each.gib), reverse=True):
        if share.cpu > empty[0] or share.gib > empty[1]:
            return 0
        for _ in range(share.count):
            room = next(
                (node for node in nodes if node[0] >= share.cpu and node[1] >= share.gib and node[2] >= 1), None
            )
            if room is None:
                nodes.append(room := list(empty))
            room[0], room[1], room[2] = room[0] - share.cpu, room[1] - share.gib, room[2] - 1
    return len(nodes)


def _fits(share: Share, node: Sequence[float]) -> bool:
    return node[0] >= share.cpu and node[1] >= share.gib and node[2] >= 1


def shares(cfg: StackConfig, replicas: int, surge: int = 1) -> list[Share]:
    """What a stack runs on managed nodes with so many replicas, `surge` of them for an update."""
    asks, stores = cfg.eks.requests, cfg.eks.stores
    cpu, gib = asks.cpu, asks.memory_gib
    if cfg.generation.provider == "llamacpp":
        cpu, gib = cpu + cfg.generation.llamacpp.cpu, gib + cfg.generation.llamacpp.memory_gib
    found = [Share("service", replicas + surge, cpu, gib), *SYSTEM]
    if cfg.retrieval.qdrant == "self-hosted":
        found.append(Share("qdrant", cfg.retrieval.self_hosted.instances, stores.qdrant.cpu, stores.qdrant.memory_gib))
    if cfg.documents.mongo == "self-hosted":
        found.append(Share("mongo", 1, stores.mongo.cpu, stores.mongo.memory_gib))
    if cfg.cache.redis == "self-hosted":
        found.append(Share("redis", 1, stores.redis.cpu, stores.redis.memory_gib))
    return found


def check(instance_type: str, nodes_max: int, wanted: Sequence[Share]) -> int:
    """Refuse what the nodes can't hold; gives how many it takes.

    Raises:
        SizingError: says how many nodes it takes, or which pod no node holds.
    """
    if instance_type not in INSTANCES:
        return 0  # a type that isn't in the table: Kubernetes will say
    cpu, gib, _ = free(instance_type)
    for each in wanted:
        if each.cpu > cpu or each.gib > gib:
            raise SizingError(
                f"{instance_type} holds no pod of {each.cpu:g} CPU and {each.gib:g} GiB ({each.name}) beside the "
                f"add-ons: {cpu:.2f} CPU and {gib:.2f} GiB are left"
            )
    needed = nodes_for(instance_type, wanted)
    if needed > nodes_max:
        pods = sum(each.count for each in wanted)
        raise SizingError(
            f"{pods} pods - the most of the service, one more for an update, and all others - need {needed} "
            f"{instance_type} nodes, nodes.max is {nodes_max}"
        )
    return needed
