"""Rules that span sections. Each is a plain function that yields mistakes; `needs` names the sections that it reads.

A rule is skipped where one of its sections is already wrong, so that one slip isn't reported twice. Rules about a
topology speak only while it is chosen: the blocks of the others may stay.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infra import sizing
from infra.config.stack import CLOUD, StackConfig
from infra.errors import Mistake, SizingError

Found = Iterator[Mistake]


@dataclass(frozen=True)
class Rule:
    """A check and the top-level keys that must be valid before it can be asked."""

    needs: frozenset[str]
    check: Callable[[StackConfig], Found]


def cloud_needs_region(cfg: StackConfig) -> Found:
    """AWS must be told where."""
    uses_cloud = cfg.topology in CLOUD or cfg.hybrid.fallback.kind == "sagemaker"
    if uses_cloud and cfg.region is None:
        yield Mistake(
            "aws:region",
            None,
            f"required by topology {cfg.topology}, e.g. eu-north-1",
            "`pulumi config set aws:region eu-north-1`"
            + ("" if cfg.topology in CLOUD else ", or `pulumi config set --path hybrid.fallback.kind none`"),
        )


def cloud_needs_tls(cfg: StackConfig) -> Found:
    """No plain HTTP by accident."""
    if cfg.topology in CLOUD and cfg.domain is None and not cfg.access.insecure_http:
        yield Mistake(
            "domain",
            None,
            "required by a cloud topology: {name, zone}, TLS needs a name",
            "`pulumi config set --path domain.name api.example.com`, the same for domain.zone"
            + (", or `pulumi config set --path access.insecureHttp true`" if cfg.development else ""),
        )


def loosening_is_for_development(cfg: StackConfig) -> Found:
    """Keys that open something work in development stacks only."""
    if cfg.development:
        return
    how = "set it back, or name the stack dev, or `pulumi config set environment development`"
    if cfg.access.insecure_http:
        yield Mistake("access.insecureHttp", "true", "legal in development stacks only", how)
    if cfg.access.auth == "none" and (cfg.topology in CLOUD or not _loopback(cfg.hybrid.edge.bind)):
        yield Mistake("access.auth", "none", "legal in development stacks only; legal: api-keys, oidc", how)


def image_is_pinned(cfg: StackConfig) -> Found:
    """A tag can move under a running service."""
    image = cfg.service.image
    if image and "@sha256:" not in image and not cfg.development and cfg.topology in CLOUD:
        yield Mistake(
            "service.image",
            image,
            "a tag is legal in development stacks only; legal: <repository>@sha256:<digest>",
            "`opsctl image push` writes the digest",
        )


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


def workload_has_its_secrets(cfg: StackConfig) -> Found:
    """The first phase builds the places for secrets; a workload must find them filled."""
    if cfg.service.image is None or cfg.topology not in CLOUD:
        return
    secrets = cfg.secrets
    wanted = (
        ("openaiApiKey", secrets.openai_api_key, "openai" in {cfg.query_model.provider, cfg.generation.provider}),
        ("qdrantApiKey", secrets.qdrant_api_key, cfg.retrieval.qdrant == "cloud"),
        ("mongoUrl", secrets.mongo_url, cfg.documents.mongo == "atlas"),
        ("opikApiKey", secrets.opik_api_key, cfg.monitoring.opik),
    )
    for name, value, needed in wanted:
        if needed and value is None:
            yield Mistake(
                f"secrets.{name}",
                None,
                "required by the workload (service.image is set)",
                f"`pulumi config set --secret --path secrets.{name}`",
            )
    if cfg.retrieval.qdrant == "cloud" and cfg.retrieval.url is None:
        yield Mistake(
            "retrieval.url",
            None,
            "required by the workload while retrieval.qdrant is cloud",
            "`pulumi config set --path retrieval.url https://<cluster>:6333`, or --path retrieval.qdrant self-hosted",
        )


def cdn_is_public(cfg: StackConfig) -> Found:
    """A distribution has a name and answers everybody."""
    if cfg.topology not in CLOUD or not cfg.cdn:
        return
    if cfg.domain is None:
        yield Mistake("cdn", "true", "needs a domain", "`pulumi config set --path domain.name api.example.com`")
    if not cfg.access.public_ingress:
        yield Mistake(
            "cdn",
            "true",
            "answers everybody, access.publicIngress is false",
            "`pulumi config set cdn false`, or `pulumi config set --path access.publicIngress true`",
        )


def one_vector_instance(cfg: StackConfig) -> Found:
    """Several copies or shards need a cluster of Qdrant nodes."""
    if cfg.topology != "ecs" or cfg.retrieval.qdrant != "self-hosted":
        return
    size = cfg.retrieval.self_hosted
    for key, value in (("replicas", size.replicas), ("shards", size.shards)):
        if value > 1:
            yield Mistake(
                f"retrieval.selfHosted.{key}",
                str(value),
                "topology ecs runs one Qdrant instance; legal: 1",
                "take a larger retrieval.selfHosted.instanceType, or `pulumi config set --path retrieval.qdrant cloud`",
            )


def lambda_runs_no_sidecar(cfg: StackConfig) -> Found:
    """llama.cpp needs a container beside the service."""
    if cfg.topology == "lambda" and cfg.generation.provider == "llamacpp":
        yield Mistake(
            "generation.provider",
            "llamacpp",
            "topology lambda runs no second container; legal: sagemaker, openai, none",
            "`pulumi config set --path generation.provider sagemaker`",
        )


def local_only_has_no_fallback(cfg: StackConfig) -> Found:
    """Privacy and a cloud fallback exclude each other."""
    if cfg.hybrid.edge.privacy == "local-only" and cfg.hybrid.fallback.kind != "none":
        yield Mistake(
            "hybrid.fallback.kind",
            cfg.hybrid.fallback.kind,
            "hybrid.edge.privacy is local-only, no query may leave; legal: none",
            "`pulumi config set --path hybrid.fallback.kind none`",
        )


def networks_are_apart(cfg: StackConfig) -> Found:
    """Networks that must route to each other can't overlap."""
    vpc, pods = ipaddress.IPv4Network(cfg.network.cidr), ipaddress.IPv4Network(cfg.eks.service_cidr)
    if vpc.overlaps(pods):
        yield Mistake(
            "network.cidr",
            cfg.network.cidr,
            f"overlaps eks.serviceCidr {cfg.eks.service_cidr}",
            "`pulumi config set --path network.cidr 10.20.0.0/16`",
        )
    allowed = [ipaddress.IPv4Network(cidr) for cidr in cfg.access.allowed_cidrs]
    for number, network in enumerate(allowed):
        for other in allowed[:number]:
            if network.overlaps(other):
                yield Mistake(
                    f"access.allowedCidrs[{number}]",
                    str(network),
                    f"overlaps {other}, which is listed too",
                    f"`pulumi config rm --path 'access.allowedCidrs[{number}]'`",
                )


def _loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _rule(check: Callable[[StackConfig], Found], *needs: str) -> Rule:
    return Rule(frozenset(needs), check)


STAGES = ("queryModel", "generation", "retrieval", "documents")
RULES: tuple[Rule, ...] = (
    _rule(cloud_needs_region, "topology", "region", "hybrid"),
    _rule(cloud_needs_tls, "topology", "domain", "access", "environment"),
    _rule(loosening_is_for_development, "topology", "access", "environment", "hybrid"),
    _rule(image_is_pinned, "topology", "service", "environment"),
    _rule(fargate_pair, "service", "ecs"),
    _rule(task_fits_instance, "topology", "service", "ecs"),
    _rule(nodes_hold_replicas, "topology", "service", "eks"),
    _rule(model_fits_gpu, "generation"),
    _rule(workload_has_its_secrets, "topology", "service", "secrets", "monitoring", *STAGES),
    _rule(cdn_is_public, "topology", "cdn", "domain", "access"),
    _rule(one_vector_instance, "topology", "retrieval"),
    _rule(lambda_runs_no_sidecar, "topology", "generation"),
    _rule(local_only_has_no_fallback, "hybrid"),
    _rule(networks_are_apart, "network", "eks", "access"),
)
