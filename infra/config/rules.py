"""Rules that span sections. Each is a plain function that yields mistakes; `needs` names the sections that it reads.

A rule is skipped where one of its sections is already wrong, so that one slip isn't reported twice. Rules about a
topology speak only while it is chosen: the blocks of the others may stay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infra.config import capacity_rules, function_rules
from infra.config.stack import CLOUD, StackConfig
from infra.errors import Mistake

Found = Iterator[Mistake]


@dataclass(frozen=True)
class Rule:
    """A check and the top-level keys that must be valid before it can be asked."""

    needs: frozenset[str]
    check: Callable[[StackConfig], Found]


def cloud_needs_region(cfg: StackConfig) -> Found:
    """AWS must be told where."""
    if cfg.region is not None or not (cfg.topology in CLOUD or cfg.edge_cloud):
        return
    without = {
        "hybrid.fallback.kind none": cfg.hybrid.fallback.kind == "sagemaker",
        "hybrid.bundle.bucket false": cfg.bundle_bucket,
    }
    ways = [f"`pulumi config set --path {key}`" for key, asks in without.items() if asks and cfg.topology == "hybrid"]
    yield Mistake(
        "aws:region",
        None,
        f"required by topology {cfg.topology}, e.g. eu-north-1",
        "`pulumi config set aws:region eu-north-1`" + (f", or {' and '.join(ways)}" if ways else ""),
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


def reranker_is_in_the_image(cfg: StackConfig) -> Found:
    """`opsctl image build` bakes a reranker from the hub; nothing copies one out of a bucket."""
    if cfg.retrieval.reranker.startswith("s3:"):
        yield Mistake(
            "retrieval.reranker",
            cfg.retrieval.reranker,
            "no image holds a reranker out of a bucket; legal: a hub id OWNER/NAME, or none",
            "`pulumi config set --path retrieval.reranker OWNER/NAME` and `opsctl image build --reranker OWNER/NAME`",
        )


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


def workload_has_its_secrets(cfg: StackConfig) -> Found:
    """The first phase builds the places for secrets; a workload must find them filled."""
    if not cfg.has_workload or cfg.topology not in CLOUD:
        return
    zipped = cfg.topology == "lambda" and cfg.lambda_.packaging == "zip"
    secrets, cause = cfg.secrets, "lambda.artifact" if zipped else "service.image"
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
                f"required by the workload ({cause} is set)",
                f"`pulumi config set --secret --path secrets.{name}`",
            )
    if cfg.retrieval.qdrant == "cloud" and cfg.retrieval.url is None:
        yield Mistake(
            "retrieval.url",
            None,
            "required by the workload while retrieval.qdrant is cloud",
            "`pulumi config set --path retrieval.url https://<cluster>:6333`, or --path retrieval.qdrant self-hosted",
        )


def spending_has_a_price(cfg: StackConfig) -> Found:
    """A limit in USD can be kept only where a token has a price; an endpoint is rented by the hour."""
    if cfg.topology not in CLOUD or cfg.generation.provider != "sagemaker" or cfg.generation.usd_per_mtok:
        return
    limits = {f"access.keys.{name}.usdPerHour": key.usd_per_hour for name, key in cfg.access.keys.items()}
    for path, usd in {"access.usdPerHour": cfg.access.usd_per_hour, **limits}.items():
        if usd is not None:
            yield Mistake(
                path,
                f"{usd:f}",
                "needs the price of a token of the endpoint: generation.usdPerMtok {input, output}",
                "`pulumi config set --path generation.usdPerMtok.input <USD>`, the same for output",
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


def sidecar_is_described(cfg: StackConfig) -> Found:
    """llama.cpp beside the service runs a pinned image that holds the model."""
    if cfg.topology not in {"ecs", "eks"} or cfg.generation.provider != "llamacpp":
        return
    image, model = cfg.generation.llamacpp.image, cfg.generation.model
    if image is None:
        yield Mistake(
            "generation.llamacpp.image",
            None,
            "required by generation.provider llamacpp: an image whose entry point is llama-server",
            "`pulumi config set --path generation.llamacpp.image <repository>@sha256:<digest>`",
        )
    elif "@sha256:" not in image and not cfg.development:
        yield Mistake(
            "generation.llamacpp.image",
            image,
            "a tag is legal in development stacks only; legal: <repository>@sha256:<digest>",
            "`pulumi config set --path generation.llamacpp.image <repository>@sha256:<digest>`",
        )
    if model is None or not (model.startswith("/") and model.endswith(".gguf")):
        yield Mistake(
            "generation.model",
            model,
            "must be the path of a GGUF file inside generation.llamacpp.image: nothing is downloaded at a start",
            "`pulumi config set --path generation.model /models/<name>.gguf`",
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


def stack_names_a_namespace(cfg: StackConfig) -> Found:
    """On Kubernetes the stack's name is part of the namespace's and of the cluster's."""
    if cfg.topology == "eks" and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?", cfg.stack):
        yield Mistake(
            "stack",
            cfg.stack,
            "names a namespace of Kubernetes; legal: lower-case letters, digits and hyphens, at most 42",
            "`pulumi stack rename <name>`",
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


STORES = ("retrieval", "documents", "cache")
STAGES = ("queryModel", "generation", "retrieval", "documents")
RULES: tuple[Rule, ...] = (
    _rule(cloud_needs_region, "topology", "region", "hybrid"),
    _rule(cloud_needs_tls, "topology", "domain", "access", "environment"),
    _rule(loosening_is_for_development, "topology", "access", "environment", "hybrid"),
    _rule(image_is_pinned, "topology", "service", "environment"),
    _rule(reranker_is_in_the_image, "retrieval"),
    _rule(capacity_rules.fargate_pair, "service", "ecs"),
    _rule(capacity_rules.task_fits_instance, "topology", "service", "ecs"),
    _rule(capacity_rules.instance_has_the_architecture, "topology", "service", "ecs", "eks"),
    _rule(capacity_rules.nodes_hold_replicas, "topology", "service", "eks", *STORES, "generation"),
    _rule(capacity_rules.zones_have_nodes, "topology", "network", "eks", *STORES),
    _rule(capacity_rules.model_fits_gpu, "generation"),
    _rule(capacity_rules.sidecar_fits, "topology", "service", "generation"),
    _rule(capacity_rules.copies_have_instances, "topology", "retrieval"),
    _rule(workload_has_its_secrets, "topology", "service", "lambda", "secrets", "monitoring", *STAGES),
    _rule(spending_has_a_price, "topology", "access", "generation"),
    _rule(cdn_is_public, "topology", "cdn", "domain", "access"),
    _rule(sidecar_is_described, "topology", "generation", "environment"),
    _rule(function_rules.runs_no_sidecar, "topology", "generation"),
    _rule(function_rules.timeouts_are_a_chain, "topology", "service", "lambda"),
    _rule(function_rules.zip_has_no_reranker, "topology", "retrieval", "lambda"),
    _rule(function_rules.has_no_distribution, "topology", "cdn"),
    _rule(local_only_has_no_fallback, "hybrid"),
    _rule(stack_names_a_namespace, "topology"),
    _rule(networks_are_apart, "network", "eks", "access"),
)
