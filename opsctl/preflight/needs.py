"""What a stack will take of an account's quotas at its largest. Pure; codes are those of Service Quotas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.sizing import INSTANCES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.config import StackConfig
    from infra.offline import Program

ROLLING = 2  # a deployment may run every task twice
GPU_FAMILIES = ("g", "vt")


@dataclass(frozen=True, slots=True)
class Need:
    """So much of one quota.

    Attributes:
        counts: which figure of the account says how much of it is taken already.
    """

    name: str
    service: str
    code: str
    amount: int
    why: str
    counts: str


def needs(cfg: StackConfig, program: Program) -> list[Need]:
    """Every quota that the stack takes from, at its largest."""
    return [need for need in _needs(cfg, program) if need.amount]


def _needs(cfg: StackConfig, program: Program) -> Iterator[Need]:
    addresses = len(program.of("ec2/eip:Eip"))
    yield Need("elastic IPs", "ec2", "L-0263D0A3", addresses, f"network.nat: {cfg.network.nat}", "addresses")
    networks = len(program.of("ec2/vpc:Vpc"))
    yield Need("VPCs", "vpc", "L-F678F1CE", networks, "the stack's own", "networks")
    if cfg.topology == "ecs" and cfg.ecs.capacity != "ec2":
        vcpus = math.ceil(cfg.service.replicas.max * ROLLING * cfg.service.cpu)
        spot = cfg.ecs.capacity == "fargate-spot"
        code = "L-36FBB829" if spot else "L-3032A538"
        why = f"{cfg.service.replicas.max} tasks, twice while a deployment rolls, of {cfg.service.cpu:g} vCPU"
        yield Need("Fargate vCPU", "fargate", code, vcpus, why, "fargate spot vcpus" if spot else "fargate vcpus")
    instances = _instances(cfg, program)
    vcpus = sum(count * INSTANCES[kind][0] for kind, count in instances.items() if kind in INSTANCES)
    why = ", ".join(f"{count} x {kind}" for kind, count in instances.items())
    yield Need("EC2 vCPU", "ec2", "L-1216C47A", vcpus, why, "instance vcpus")
    if cfg.topology == "lambda":
        kept = max(cfg.lambda_.reserved_concurrency or 0, cfg.lambda_.provisioned_concurrency)
        yield Need(
            "Lambda concurrency", "lambda", "L-B99A9384", kept, "lambda.reservedConcurrency", "functions at once"
        )


def _instances(cfg: StackConfig, program: Program) -> dict[str, int]:
    """EC2 instances by type, at the largest."""
    found: dict[str, int] = {}
    if cfg.topology == "ecs" and cfg.ecs.capacity == "ec2":
        found[cfg.ecs.instance_type] = cfg.ecs.instances.max
    if cfg.topology == "eks" and cfg.eks.mode == "managed":
        for group in program.of("eks/nodeGroup:NodeGroup"):
            kind = (group.inputs.get("instanceTypes") or [cfg.eks.nodes.instance_type])[0]
            found[kind] = found.get(kind, 0) + int(group.inputs["scalingConfig"]["maxSize"])
    for host in program.of("ec2/instance:Instance"):
        kind = str(host.inputs["instanceType"])
        found[kind] = found.get(kind, 0) + 1
    return found
