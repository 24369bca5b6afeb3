"""What a task of the ECS topology is made of. Pure: the stack config and where things are in, plain data out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.components import container
from infra.sizing import FargateSize, fargate_size, split_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from infra.config import StackConfig

QDRANT_PORT = 6333
LLAMA_URL = f"http://127.0.0.1:{container.LLAMA_PORT}"


def has_sidecar(cfg: StackConfig) -> bool:
    """Whether llama.cpp runs beside the service."""
    return cfg.generation.provider == "llamacpp"


def containers(
    cfg: StackConfig,
    environment: Mapping[str, pulumi.Input[str]],
    secrets: Mapping[str, pulumi.Input[str]],
    log_group: pulumi.Input[str],
) -> list[dict[str, Any]]:
    """The service, and llama.cpp before it where it generates the answers; `secrets` is name -> ARN."""

    def made(image: str | None, part: FargateSize | None = None) -> container.ContainerArgs:
        return container.ContainerArgs(str(image), log_group, str(cfg.region), part, cfg.ecs.exec)

    if not has_sidecar(cfg):
        return [container.service(made(cfg.service.image), environment, secrets)]
    beside, gen = cfg.generation.llamacpp, cfg.generation
    own, part = split_task(cfg.service.cpu, cfg.service.memory_gib, beside.cpu, beside.memory_gib)
    model = container.ModelArgs(str(gen.model), gen.context_tokens, max(1, math.floor(beside.cpu)))
    return [
        container.service(made(cfg.service.image, own), environment, secrets, after=container.LLAMA),
        container.llama(made(beside.image, part), model),
    ]


def task_size(cfg: StackConfig) -> FargateSize:
    """CPU units and MiB of a task; instances take sizes that Fargate doesn't have."""
    if cfg.ecs.capacity == "ec2":
        return FargateSize(int(cfg.service.cpu * 1024), int(cfg.service.memory_gib * 1024))
    return fargate_size(cfg.service.cpu, cfg.service.memory_gib)


def egress_ports(cfg: StackConfig) -> dict[int, str]:
    """Ports that the service opens to the internet, each with what for."""
    ports = {443: "HTTPS: AWS, vendors"}
    if cfg.retrieval.qdrant == "cloud" and cfg.retrieval.url:
        port = urlsplit(cfg.retrieval.url).port or QDRANT_PORT  # where a URL names none, its clients take this one
        ports.setdefault(port, "Qdrant Cloud")
    if cfg.documents.mongo == "atlas":
        ports[27017] = "MongoDB Atlas"
    return ports
