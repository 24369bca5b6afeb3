"""Pure sizing: which sizes exist, what fits on what. Raises SizingError with the legal list; declares nothing."""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.accelerators import GPU_INSTANCES
from infra.errors import SizingError

if TYPE_CHECKING:
    from collections.abc import Iterable

# AWS Fargate task sizes: vCPU -> memory in GiB (smallest, largest, step); 0.25 vCPU also takes 0.5 GiB.
FARGATE_GIB: dict[float, tuple[float, ...]] = {
    0.25: (0.5, 1, 2),
    0.5: tuple(range(1, 5)),
    1: tuple(range(2, 9)),
    2: tuple(range(4, 17)),
    4: tuple(range(8, 31)),
    8: tuple(range(16, 61, 4)),
    16: tuple(range(32, 121, 8)),
}
# EC2: vCPU, memory in GiB, pods by the address limit of its network interfaces (AWS: eni-max-pods).
INSTANCES: dict[str, tuple[int, float, int]] = {
    "t3.small": (2, 2, 11),
    "t3.medium": (2, 4, 17),
    "t3.large": (2, 8, 35),
    "t3.xlarge": (4, 16, 58),
    "t3.2xlarge": (8, 32, 58),
    "t4g.small": (2, 2, 11),
    "t4g.medium": (2, 4, 17),
    "t4g.large": (2, 8, 35),
    "t4g.xlarge": (4, 16, 58),
    "m5.large": (2, 8, 29),
    "m5.xlarge": (4, 16, 58),
    "m6i.large": (2, 8, 29),
    "m6i.xlarge": (4, 16, 58),
    "m6i.2xlarge": (8, 32, 58),
    "m7g.large": (2, 8, 29),
    "m7g.xlarge": (4, 16, 58),
    "m7i.large": (2, 8, 29),
    "m7i.xlarge": (4, 16, 58),
    "c6i.xlarge": (4, 8, 58),
    "r6i.large": (2, 16, 29),
    "r6i.xlarge": (4, 32, 58),
}
WEIGHT_BYTES = {"none": 2.0, "fp8": 1.0, "eetq": 1.0, "awq": 0.6, "gptq": 0.6, "bitsandbytes": 0.6}
GPU_USABLE = 0.9  # vLLM's default gpu-memory-utilization
KV_GIB_PER_TOKEN = 2 * 32 * 8 * 128 * 2 / 2**30  # Llama 3.1 8B: K and V, 32 layers, 8 heads of 128, 16 bit
SERVICE_LEAST_CPU, SERVICE_LEAST_GIB = 0.25, 1.0  # what the service itself needs beside a sidecar
LAMBDA_MIB = range(128, 10241)
LAMBDA_MARGIN_S = 5  # what Lambda needs to report a function that it stopped
GATEWAY_LONGEST_S = 900  # of a REST API's streamed answer
LAMBDA_MIB_PER_VCPU = 1769  # AWS: a function has one full vCPU at 1,769 MB


@dataclass(frozen=True)
class FargateSize:
    """A task size as the API takes it."""

    cpu_units: int
    memory_mib: int


@dataclass(frozen=True)
class LambdaTimeouts:
    """Seconds, each longer than the one before: of a request, of the function, of the gateway's wait for it."""

    deadline_s: float
    function_s: int
    integration_s: int


@dataclass(frozen=True)
class SubnetPlan:
    """Networks by zone; adding a zone renumbers nothing."""

    public: tuple[str, ...]
    private: tuple[str, ...]


def fargate_size(cpu: float, memory_gib: float) -> FargateSize:
    """The task size for `cpu` vCPU and `memory_gib`.

    Raises:
        SizingError: no such pair; names the legal ones.
    """
    if cpu not in FARGATE_GIB:
        raise SizingError(f"Fargate has no {cpu:g} vCPU; legal: {_listed(FARGATE_GIB)}")
    if memory_gib not in FARGATE_GIB[cpu]:
        legal = f"legal with {cpu:g} vCPU: {_listed(FARGATE_GIB[cpu])} GiB"
        raise SizingError(f"Fargate has no {cpu:g} vCPU with {memory_gib:g} GiB; {legal}")
    return FargateSize(cpu_units=int(cpu * 1024), memory_mib=int(memory_gib * 1024))


def split_task(
    cpu: float, memory_gib: float, sidecar_cpu: float, sidecar_gib: float
) -> tuple[FargateSize, FargateSize]:
    """What the service and its sidecar get of a task.

    Raises:
        SizingError: too little is left for the service.
    """
    left_cpu, left_gib = cpu - sidecar_cpu, memory_gib - sidecar_gib
    if left_cpu < SERVICE_LEAST_CPU or left_gib < SERVICE_LEAST_GIB:
        raise SizingError(
            f"{sidecar_cpu:g} vCPU and {sidecar_gib:g} GiB leave the service {max(left_cpu, 0):g} vCPU and "
            f"{max(left_gib, 0):g} GiB of its task; it needs {SERVICE_LEAST_CPU:g} and {SERVICE_LEAST_GIB:g}"
        )
    service = FargateSize(int(left_cpu * 1024), int(left_gib * 1024))
    return service, FargateSize(int(sidecar_cpu * 1024), int(sidecar_gib * 1024))


def architecture_of(instance_type: str) -> str:
    """x86_64, or arm64 for the families whose generation is followed by a `g` (t4g, m7g, c8gd)."""
    return "arm64" if re.match(r"[a-z]+\d+g", instance_type) else "x86_64"


def tasks_per_instance(instance_type: str, cpu: float, memory_gib: float) -> int:
    """How many ECS tasks of this size an instance of capacity `ec2` holds (agent and system take 0.5 GiB).

    Raises:
        SizingError: an instance type whose size isn't known here.
    """
    vcpu, gib, _ = _instance(instance_type)
    return max(0, min(math.floor(vcpu / cpu), math.floor((gib - 0.5) / memory_gib)))


def check_lambda_memory(memory_mib: int) -> None:
    """Refuse a memory size that Lambda doesn't have.

    Raises:
        SizingError: outside 128 to 10,240 MiB.
    """
    if memory_mib not in LAMBDA_MIB:
        raise SizingError(f"Lambda has no {memory_mib} MiB; legal: {LAMBDA_MIB[0]} to {LAMBDA_MIB[-1]}")


def lambda_timeouts(deadline_s: float, function_s: int) -> LambdaTimeouts:
    """Who gives up when: the service first, then Lambda, then API Gateway, so that the first one can say why.

    Raises:
        SizingError: they can't be in this order.
    """
    integration_s = function_s + LAMBDA_MARGIN_S
    if function_s <= deadline_s:
        raise SizingError(f"a function of {function_s} s ends before the request's deadline of {deadline_s:g} s")
    if integration_s > GATEWAY_LONGEST_S:
        raise SizingError(
            f"API Gateway waits {GATEWAY_LONGEST_S} s at most and must wait longer than the function: "
            f"at most {GATEWAY_LONGEST_S - LAMBDA_MARGIN_S}"
        )
    return LambdaTimeouts(deadline_s, function_s, integration_s)


def lambda_vcpu(memory_mib: int) -> float:
    """CPU share that comes with the memory."""
    return memory_mib / LAMBDA_MIB_PER_VCPU


def billions_of_parameters(model: str) -> float | None:
    """Parameters in billions as model names carry them (`TwinLlama-3.1-8B-DPO` -> 8.0); None where it doesn't."""
    found = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])", model.rsplit("/", 1)[-1])
    return float(found.group(1)) if found else None


def gpu_gib_needed(billions: float, quantization: str, context_tokens: int) -> float:
    """Weights plus the key-value cache of one full context, in GiB."""
    weights = billions * 1e9 * WEIGHT_BYTES[quantization] / 2**30
    return weights + context_tokens * KV_GIB_PER_TOKEN * max(1.0, billions / 8)


def check_gpu_fit(model: str, instance_type: str, quantization: str, context_tokens: int) -> None:
    """Refuse a model that the instance's GPU memory can't hold, where both sizes are known.

    Raises:
        SizingError: says what is needed, what is there, and which instances hold it.
    """
    billions = billions_of_parameters(model)
    if billions is None or instance_type not in GPU_INSTANCES:
        return
    needed = gpu_gib_needed(billions, quantization, context_tokens)
    usable = GPU_INSTANCES[instance_type].gib * GPU_USABLE
    if needed <= usable:
        return
    fits = [name for name, instance in GPU_INSTANCES.items() if instance.gib * GPU_USABLE >= needed]
    raise SizingError(
        f"{model} needs about {needed:.1f} GiB of GPU memory (quantization {quantization}, {context_tokens} tokens), "
        f"{instance_type} has {usable:.1f} usable; it fits on {', '.join(fits[:4]) or 'none that is known'}"
    )


def subnet_plan(cidr: str, zones: int) -> SubnetPlan:
    """Eighths of the VPC: the first four for private subnets, the next ones, quartered, for public ones."""
    eighths = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=3))
    public = [next(block.subnets(prefixlen_diff=2)) for block in eighths[4:]]
    return SubnetPlan(
        public=tuple(str(block) for block in public[:zones]), private=tuple(str(block) for block in eighths[:zones])
    )


def dns_address(service_cidr: str) -> str:
    """Where pods ask for names: EKS takes the tenth address of the cluster's services."""
    return str(ipaddress.IPv4Network(service_cidr)[10])


def _instance(instance_type: str) -> tuple[int, float, int]:
    if instance_type not in INSTANCES:
        raise SizingError(f"the size of {instance_type} isn't known here; known: {', '.join(INSTANCES)}")
    return INSTANCES[instance_type]


def _listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
