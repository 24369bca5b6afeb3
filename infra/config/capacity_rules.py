"""Rules about sizes: what exists, what fits on what. Plain functions that yield mistakes."""

from __future__ import annotations

from collections.abc import Iterator

from infra import sizing
from infra.config.stack import StackConfig
from infra.errors import Mistake, SizingError

Found = Iterator[Mistake]


def fargate_pair(cfg: StackConfig) -> Found:
    """CPU and memory must be a size that exists."""
    if cfg.ecs.capacity == "ec2":
        return
    try:
        sizing.fargate_size(cfg.service.cpu, cfg.service.memory_gib)
    except SizingError as exc:
        yield Mistake(
            "service.memoryGiB" if cfg.service.cpu in sizing.FARGATE_GIB else "service.cpu",
            f"{cfg.service.memory_gib:g}" if cfg.service.cpu in sizing.FARGATE_GIB else f"{cfg.service.cpu:g}",
            str(exc),
            "`pulumi config set --path service.memoryGiB <GiB>`, or --path service.cpu",
        )


def task_fits_instance(cfg: StackConfig) -> Found:
    """With capacity ec2 a task must fit and the pool must hold them all."""
    if cfg.topology != "ecs" or cfg.ecs.capacity != "ec2" or cfg.ecs.instance_type not in sizing.INSTANCES:
        return
    each = sizing.tasks_per_instance(cfg.ecs.instance_type, cfg.service.cpu, cfg.service.memory_gib)
    size = f"{cfg.service.cpu:g} vCPU and {cfg.service.memory_gib:g} GiB"
    if each == 0:
        yield Mistake(
            "ecs.instanceType",
            cfg.ecs.instance_type,
            f"holds no task of {size}",
            "`pulumi config set --path ecs.instanceType t3.large` or larger, or lower service.memoryGiB",
        )
    elif each * cfg.ecs.instances.max < cfg.service.replicas.max + 1:
        yield Mistake(
            "ecs.instances.max",
            str(cfg.ecs.instances.max),
            f"{cfg.service.replicas.max} tasks and one surge task of {size} don't fit ({each} per instance)",
            f"`pulumi config set --path ecs.instances.max {-(-(cfg.service.replicas.max + 1) // each)}`",
        )


def nodes_hold_replicas(cfg: StackConfig) -> Found:
    """The HPA's upper bound plus the surge pod must fit on the nodes."""
    if cfg.topology != "eks" or cfg.eks.mode != "managed":
        return
    bounds, requests = cfg.node_bounds, cfg.eks.requests
    nodes, high = cfg.eks.nodes, cfg.service.replicas.max
    try:
        sizing.check_node_pool(high, bounds.max, nodes.instance_type, requests.cpu, requests.memory_gib)
    except SizingError as exc:
        needed = sizing.nodes_for(high, nodes.instance_type, requests.cpu, requests.memory_gib)
        key, value = ("eks.nodes.max", str(bounds.max)) if needed else ("eks.nodes.instanceType", nodes.instance_type)
        fix = f"`pulumi config set --path eks.nodes.max {needed}`" if needed else "take a larger type, e.g. t3.large"
        yield Mistake(key, value, str(exc), fix)


def model_fits_gpu(cfg: StackConfig) -> Found:
    """The weights and one context must fit."""
    gen = cfg.generation
    if gen.provider != "sagemaker" or gen.model is None:
        return
    if gen.engine == "vllm" and gen.quantization == "eetq":
        yield Mistake(
            "generation.quantization",
            "eetq",
            "engine vllm hasn't got it; legal with vllm: none, fp8, awq, gptq, bitsandbytes",
            "`pulumi config set --path generation.quantization fp8`",
        )
    try:
        sizing.check_gpu_fit(gen.model, gen.instance_type, gen.quantization, gen.context_tokens)
    except SizingError as exc:
        yield Mistake(
            "generation.instanceType",
            gen.instance_type,
            str(exc),
            "`pulumi config set --path generation.instanceType <type>`, or a generation.quantization",
        )


def instance_has_the_architecture(cfg: StackConfig) -> Found:
    """A container built for one architecture starts on no other."""
    if cfg.topology != "ecs" or cfg.ecs.capacity != "ec2":
        return
    has = sizing.architecture_of(cfg.ecs.instance_type)
    if has != cfg.service.architecture:
        yield Mistake(
            "ecs.instanceType",
            cfg.ecs.instance_type,
            f"is {has}, service.architecture is {cfg.service.architecture}",
            f"`pulumi config set --path service.architecture {has}`, or another ecs.instanceType",
        )


def sidecar_fits(cfg: StackConfig) -> Found:
    """llama.cpp and the service share one task."""
    if cfg.topology != "ecs" or cfg.generation.provider != "llamacpp":
        return
    beside = cfg.generation.llamacpp
    try:
        sizing.split_task(cfg.service.cpu, cfg.service.memory_gib, beside.cpu, beside.memory_gib)
    except SizingError as exc:
        yield Mistake(
            "generation.llamacpp",
            None,
            str(exc),
            "`pulumi config set --path service.memoryGiB <GiB>` (and service.cpu), or less for the sidecar",
        )


def copies_have_instances(cfg: StackConfig) -> Found:
    """Two copies of a shard on one instance are lost together."""
    size = cfg.retrieval.self_hosted
    if cfg.topology == "ecs" and cfg.retrieval.qdrant == "self-hosted" and size.replicas > size.instances:
        yield Mistake(
            "retrieval.selfHosted.replicas",
            str(size.replicas),
            f"needs as many instances, retrieval.selfHosted.instances is {size.instances}",
            f"`pulumi config set --path retrieval.selfHosted.instances {size.replicas}`",
        )
