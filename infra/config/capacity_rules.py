"""Rules about sizes: what exists, what fits on what. Plain functions that yield mistakes."""

from __future__ import annotations

from collections.abc import Iterator

from infra import node_pool, sizing
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
    """The HPA's upper bound, one pod more for an update, stores and the cluster's own pods must fit on the nodes."""
    if not _managed(cfg):
        return
    nodes, bounds, wanted = cfg.eks.nodes, cfg.node_bounds, node_pool.shares(cfg, cfg.service.replicas.max)
    try:
        node_pool.check(nodes.instance_type, bounds.max, wanted)
    except SizingError as exc:
        needed = node_pool.nodes_for(nodes.instance_type, wanted)
        key, value = ("eks.nodes.max", str(bounds.max)) if needed else ("eks.nodes.instanceType", nodes.instance_type)
        fix = f"`pulumi config set --path eks.nodes.max {needed}`" if needed else "take a larger type, e.g. t3.large"
        yield Mistake(key, value, str(exc), fix)


def zones_have_nodes(cfg: StackConfig) -> Found:
    """A volume can't leave its zone, so each zone keeps a node for the store that has it."""
    stores = (cfg.retrieval.qdrant, cfg.documents.mongo, cfg.cache.redis)
    if _managed(cfg) and "self-hosted" in stores and cfg.eks.nodes.min < cfg.network.zones:
        yield Mistake(
            "eks.nodes.min",
            str(cfg.eks.nodes.min),
            f"leaves one of {cfg.network.zones} zones without a node; volumes of self-hosted stores can't leave theirs",
            f"`pulumi config set --path eks.nodes.min {cfg.network.zones}`, or fewer network.zones",
        )


def _managed(cfg: StackConfig) -> bool:
    return cfg.topology == "eks" and cfg.eks.mode == "managed"


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
    wanted = cfg.service.architecture
    if cfg.topology == "ecs" and cfg.ecs.capacity == "ec2":
        key, kind = "ecs.instanceType", cfg.ecs.instance_type
    elif _managed(cfg):
        key, kind = "eks.nodes.instanceType", cfg.eks.nodes.instance_type
    else:
        if cfg.topology == "eks" and wanted == "arm64":
            yield Mistake(
                "service.architecture",
                wanted,
                "Auto Mode's own pools have x86_64 nodes only; legal: x86_64, or eks.mode managed",
                "`pulumi config set --path service.architecture x86_64`",
            )
        return
    has = sizing.architecture_of(kind)
    if has != wanted:
        yield Mistake(
            key,
            kind,
            f"is {has}, service.architecture is {wanted}",
            f"`pulumi config set --path service.architecture {has}`, or another {key}",
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
    if cfg.topology in {"ecs", "eks"} and cfg.retrieval.qdrant == "self-hosted" and size.replicas > size.instances:
        yield Mistake(
            "retrieval.selfHosted.replicas",
            str(size.replicas),
            f"needs as many instances, retrieval.selfHosted.instances is {size.instances}",
            f"`pulumi config set --path retrieval.selfHosted.instances {size.replicas}`",
        )
