"""The Kubernetes part of a stack by itself: a provider, the namespace, stores and service in it, under mocks."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from infra import offline
from infra.components.account import Site
from infra.components.kube.ingress import FrontArgs
from infra.components.kube.namespace import KubeNamespace
from infra.components.kube.network_policies import Near, addresses
from infra.components.kube.stores import KubeStores, KubeStoresArgs
from infra.components.workload import Workload, WorkloadArgs
from infra.config import StackConfig
from tests.infra.cloud_cases import config, merged, second_phase

SECRET = "arn:aws:secretsmanager:eu-north-1:111122223333:secret:rag/openaiApiKey-a"
FIREWALL = "arn:aws:wafv2:eu-north-1:111122223333:regional/webacl/rag/1"
CERTIFICATE = "arn:aws:acm:eu-north-1:111122223333:certificate/1"
STORES = {
    "retrieval": {"qdrant": "self-hosted", "selfHosted": {"instances": 3, "replicas": 2, "shards": 2}},
    "documents": {"mongo": "self-hosted"},
    "cache": {"redis": "self-hosted"},
}
ROOM: dict[str, Any] = {"eks": {"nodes": {"instanceType": "t3.2xlarge"}}}
SIDECAR = {
    "service": {"cpu": 4, "memoryGiB": 8},
    "generation": {
        "provider": "llamacpp",
        "model": "/models/small.gguf",
        "llamacpp": {"image": "registry.example.com/llama@sha256:" + "2" * 64},
    },
}


def eks(stack: str, **more: Any) -> StackConfig:
    """A stack file on EKS; its nodes have room for whatever `more` asks for."""
    return config(stack, second_phase(topology="eks", **merged(ROOM, more)))


def site(cfg: StackConfig) -> Site:
    tags = {"project": "rag-platform", "stack": cfg.stack, "environment": cfg.environment}
    account = pulumi.Output.from_input(offline.ACCOUNT)
    return Site(cfg.stack, account, str(cfg.region), cfg.protect, tags)


def front(cfg: StackConfig) -> FrontArgs:
    return FrontArgs(
        subnet_ids=["subnet-a", "subnet-b"],
        subnet_cidrs=["10.20.128.0/21", "10.20.136.0/21"],
        log_bucket="rag-logs",
        certificate_arn=CERTIFICATE if cfg.domain else None,
        waf_arn=FIREWALL if cfg.access.waf else None,
        cidrs=["0.0.0.0/0"] if cfg.access.public_ingress else cfg.access.allowed_cidrs,
    )


def workload(cfg: StackConfig, environment: dict[str, str] | None = None) -> offline.Program:
    """What the service on Kubernetes would declare."""

    def build() -> dict[str, Any]:
        opts = pulumi.ResourceOptions(provider=k8s.Provider("kube"))
        where = site(cfg)
        made = KubeNamespace("rag", where, cfg, opts=opts)
        key = "arn:aws:kms:eu-north-1:111122223333:key/1"
        stores = KubeStores("rag", where, cfg, KubeStoresArgs(made.namespace, key), opts=opts)
        near = list(stores.near.values())
        args = WorkloadArgs(
            cfg=cfg,
            namespace=made.namespace,
            environment=environment or {"RAG_PORT": "8000", "RAG_SECRETS_FROM": f'{{"OPENAI_API_KEY": "{SECRET}"}}'},
            front=front(cfg),
            servers=[*near, Near([addresses("10.20.0.0/19")], 6379)],
            internet=[443, 27017],
            after=[],
        )
        service = Workload("rag", where, args, opts=opts)
        return {
            "revision": service.revision,
            "hostname": service.hostname,
            "deployment": service.deployment,
            "secrets": stores.secrets,
            "qdrant": stores.address_of("qdrant"),
        }

    return offline.record(cfg, build)
