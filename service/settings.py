"""The only reader of the environment: parsed once, frozen, handed down as values.

Names keep the deployment guide's words where it has them (`OPENAI_API_KEY`, `QDRANT_CLOUD_URL`, ...), the rest are
`RAG_*`. AWS credentials are never among them: boto3 finds the role. `infra` sets these names; a test holds both equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AliasChoices,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import StartupError
from service.required import REQUIRED
from service.resilience.budgets import LINGER_S

_URL = TypeAdapter(HttpUrl)
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[a-z0-9.-]+(:[0-9]+)?)$")]
Usd = Annotated[Decimal, Field(ge=0)]
UsdPerMtok = Annotated[tuple[Usd, Usd] | None, NoDecode]
Port = Annotated[int, Field(ge=0, le=65535)]


def _is_loopback(host: str) -> bool:
    """Of a name only `localhost` is, whatever else it resolves to."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _env(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class References(BaseSettings):
    """Where secrets are kept that are not in the environment themselves; read before everything else."""

    model_config = SettingsConfigDict(
        env_prefix="RAG_", frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    secrets_from: Annotated[Mapping[str, str], NoDecode] = Field(
        {}, description='JSON {"OPENAI_API_KEY": "<ARN of a Secrets Manager secret>", ...}, read with the role'
    )
    secrets_ttl_s: Positive = Field(300.0, description="these secrets are read again after this long")

    @field_validator("secrets_from", mode="before")
    @classmethod
    def _object(cls, value: object) -> object:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError as exc:
            raise ValueError("is no JSON object of names and ARNs") from exc

    @field_validator("secrets_from")
    @classmethod
    def _secret(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if wrong := [name for name in value if name not in secret_names()]:
            raise ValueError(f"{', '.join(wrong)}: no secret's name; legal: {', '.join(secret_names())}")
        return value


class Settings(References):
    """Everything that the service can be told; immutable after start."""

    # where it listens
    host: str = "127.0.0.1"
    port: Port = 8000
    metrics_port: Port = Field(9090, description="second port, for /metrics only; 0 turns it off")
    docs: bool = Field(default=False, description="serve /docs and /openapi.json")
    served_by: Literal["edge", "cloud"] = "cloud"
    release: str = Field("dev", description="image digest or revision, reported by /health")

    snapshots: bool = Field(
        default=False,
        description="serve what the Lambda Web Adapter asks around a snapshot (SnapStart); set by the zip",
    )

    # limits (shared budget table: request 25 s < graceful 30 s < stop timeout 45 s)
    deadline_s: Positive = 25.0
    query_model_timeout_s: Positive = 3.0
    search_timeout_s: Positive = 1.0
    rerank_timeout_s: Positive = 1.0
    first_token_timeout_s: Positive | None = Field(
        None, description="until the model's first token; default 8 s, or the deadline where llama.cpp decodes"
    )
    graceful_s: Positive = 30.0
    max_body_bytes: Count = 32 * 1024
    max_output_tokens: Annotated[int, Field(ge=1, le=1024)] = 512
    threads: Count = Field(1, description="CPU threads of each local model session")

    max_in_flight: Count | None = Field(None, description="requests at once; default: from the model's connections")

    # access
    auth: Literal["api-keys", "oidc", "none"] | None = Field(
        None, description="who may call; must be said where the host is not a loopback address"
    )
    api_keys_from: str | None = Field(None, description="hashed keys: ARN of a Secrets Manager secret, or a file")
    api_keys_ttl_s: Positive = Field(60.0, description="the keys are read again after this long")
    oidc_issuer: str | None = Field(None, description="https:// address, as the issuer writes its own name")
    oidc_audience: str | None = None
    oidc_keys_ttl_s: Positive = Field(600.0, description="the issuer's keys are fetched again after this long")
    requests_per_minute: Count | None = Field(None, description="per key, unless the key says otherwise")
    usd_per_hour: Annotated[Decimal, Field(gt=0)] | None = Field(
        None, description="spend per key, unless the key says otherwise"
    )
    generation_usd_per_mtok: UsdPerMtok = Field(
        None, description="price of the generator's tokens, per million: <input>,<output>; default: OpenAI's list"
    )
    query_model_usd_per_mtok: UsdPerMtok = Field(None, description="the same for the query model")
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (), description="https://host[:port], comma-separated: pages that may call from a browser; none unless set"
    )

    # emergency switches and telemetry
    switches_from: str | None = Field(None, description="which stages are off: SSM parameter `ssm:/name`, or a file")
    log_format: Literal["json", "text"] = "json"
    emf_namespace: str | None = Field(None, description="CloudWatch metrics as log lines, in this namespace")
    metrics_push: str | None = Field(
        None, description="send counts and signs of life to CloudWatch, into this namespace, where no agent reads lines"
    )
    host_name: str = Field("local", description="this host among the edges, a dimension of its signs of life")
    otlp_endpoint: str | None = Field(None, validation_alias=_env("OTEL_EXPORTER_OTLP_ENDPOINT"))
    trace_content: bool = Field(default=False, description="put questions and answers into traces")
    opik_api_key: SecretStr | None = Field(None, validation_alias=_env("OPIK_API_KEY"))
    opik_workspace: str | None = Field(None, validation_alias=_env("OPIK_WORKSPACE"))
    opik_project: str = Field("rag-platform", validation_alias=_env("OPIK_PROJECT_NAME"))
    opik_url: str = Field("https://www.comet.com/opik/api", validation_alias=_env("OPIK_URL_OVERRIDE"))

    # stages
    top_k: Annotated[int, Field(ge=1, le=20)] = 3
    expansions: Annotated[int, Field(ge=0, le=5)] = 3
    candidates: Count = Field(20, description="chunks per variant that are fetched before reranking")
    min_score: Annotated[float, Field(ge=-1, le=1)] = Field(0.25, description="best cosine below this: I don't know")
    collections: Annotated[tuple[str, ...], NoDecode, Field(min_length=1)] = ("posts", "articles", "repos")

    # embedding
    embedder: Literal["onnx", "sentence-transformers"] = "onnx"
    embedding_model_path: Path | None = Field(None, description="model.onnx; default: the installed package's")
    tokenizer_path: Path | None = Field(None, description="tokenizer.json; default: the installed package's")

    # vector store
    vector_store: Literal["qdrant", "faiss"] = "qdrant"
    qdrant_url: str | None = Field(None, validation_alias=_env("QDRANT_CLOUD_URL", "RAG_QDRANT_URL"))
    qdrant_api_key: SecretStr | None = Field(None, validation_alias=_env("QDRANT_APIKEY", "RAG_QDRANT_API_KEY"))
    bundle_dir: Path | None = None
    bundle_check_s: Positive = Field(2.0, description="a new bundle is looked for after this long, and taken over")

    # documents
    documents: Literal["mongo", "bundle", "none"] = "none"
    mongo_url: SecretStr | None = Field(None, validation_alias=_env("DATABASE_HOST", "RAG_MONGO_URL"))
    mongo_database: str = Field("rag", validation_alias=_env("DATABASE_NAME", "RAG_MONGO_DATABASE"))
    mongo_timeout_s: Positive = Field(0.5, description="per call, server selection included")

    # query model
    query_model: Literal["openai", "none"] = "none"
    openai_api_key: SecretStr | None = Field(None, validation_alias=_env("OPENAI_API_KEY"))
    openai_model_id: str = Field("gpt-4o-mini", validation_alias=_env("OPENAI_MODEL_ID"))
    openai_base_url: str | None = Field(None, validation_alias=_env("OPENAI_BASE_URL"))

    # reranker
    reranker: Literal["onnx", "sentence-transformers", "none"] = "none"
    reranker_model: str | None = Field(None, description="folder with model.onnx and tokenizer.json, or a hub id")
    reranker_root: Path | None = Field(
        None, description="folder of the rerankers that an image holds by hub id; the image sets it"
    )

    # generation
    generator: Literal["sagemaker", "openai", "llamacpp", "none"] = "none"
    sagemaker_endpoint: str | None = Field(None, validation_alias=_env("SAGEMAKER_ENDPOINT_INFERENCE"))
    sagemaker_component: str | None = Field(None, description="inference component name (scale to zero)")
    sagemaker_engine: Literal["vllm", "tgi"] = "vllm"
    generation_model: str | None = Field(None, description="model name that the engine was started with")
    context_tokens: Count = 4096
    aws_region: str | None = Field(None, validation_alias=_env("AWS_REGION"))
    llamacpp_url: str | None = None

    # cache
    cache: Literal["redis", "memory", "none"] = "none"
    redis_url: SecretStr | None = None
    redis_timeout_s: Positive = Field(0.05, description="per wait on the socket; beyond it the cache is done without")
    cache_ttl_s: Positive = 3600.0
    cache_entries: Count = Field(1000, description="answers that RAG_CACHE=memory keeps")

    # hybrid routing
    privacy: Literal["local-only", "allow-cloud"] = "local-only"
    fallback: Literal["sagemaker", "service", "none"] = "none"
    fallback_url: str | None = None
    fallback_api_key: SecretStr | None = None
    fallback_api_key_from: str | None = Field(
        None, description="the same by reference: ARN of a Secrets Manager secret, or a file; read when it is needed"
    )

    # connection pools
    qdrant_connections: Count = 20
    mongo_connections: Count = 20
    redis_connections: Count = 20
    http_connections: Count = 50

    @field_validator(
        "collections", "cors_origins", "generation_usd_per_mtok", "query_model_usd_per_mtok", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("collections")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names a collection twice")
        return value

    @field_validator("qdrant_url", "openai_base_url", "llamacpp_url", "fallback_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            _URL.validate_python(value)
        return value

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.auth is None and not _is_loopback(self.host):
            raise ValueError(
                f"RAG_AUTH must be said where RAG_HOST is not a loopback address ({self.host}): api-keys, oidc or none"
            )
        return self

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.served_by == "edge" and self.privacy == "local-only":
            away = {
                "RAG_QUERY_MODEL=none": self.query_model != "none",
                "RAG_GENERATOR=llamacpp": self.generator in {"openai", "sagemaker"},
                "RAG_FALLBACK=none": self.fallback != "none",
            }
            if needed := [name for name, wrong in away.items() if wrong]:
                raise ValueError(f"RAG_PRIVACY=local-only lets no query leave: set {', '.join(needed)}")
        return self

    @model_validator(mode="after")
    def _drainable(self) -> Self:
        if self.graceful_s < self.deadline_s + LINGER_S:
            raise ValueError(
                f"RAG_GRACEFUL_S must be {LINGER_S:g} s or more above RAG_DEADLINE_S, or a drain cuts requests off"
            )
        return self

    @model_validator(mode="after")
    def _complete(self) -> Self:
        names = leading_names()
        missing = [
            f"{names[field]} is required by {why}"
            for field, why, wanted in REQUIRED
            if wanted(self) and getattr(self, field) is None
        ]
        if missing:
            raise ValueError("; ".join(missing))
        return self


def environment_names() -> dict[str, str]:
    """Environment name -> field, for every name that `Settings` reads; the first name of an alias list leads."""
    names: dict[str, str] = {}
    for field, info in Settings.model_fields.items():
        alias = info.validation_alias
        for choice in alias.choices if isinstance(alias, AliasChoices) else (f"RAG_{field.upper()}",):
            names[str(choice)] = field
    return names


def leading_names() -> dict[str, str]:
    """Field -> the environment name that leads, in the order of the fields."""
    leading: dict[str, str] = {}
    for name, field in environment_names().items():
        leading.setdefault(field, name)
    return leading


def secret_names() -> dict[str, str]:
    """Environment name -> field, for every secret."""
    names = environment_names()
    return {
        name: field for name, field in names.items() if SecretStr in get_args(Settings.model_fields[field].annotation)
    }


# What a job leaves alone, whatever the service's own environment says of it.
NOT_A_SERVER: dict[str, object] = {
    "host": "127.0.0.1", "auth": "none", "generator": "none", "query_model": "none", "reranker": "none",
    "cache": "none", "fallback": "none", "documents": "none",
}  # fmt: skip


def load(fetch: Callable[[Mapping[str, str]], Mapping[str, str]] | None = None, **fixed: object) -> Settings:
    """Read the environment once, and what it refers to.

    Args:
        fetch: for environment name -> ARN, environment name -> the secret's value.
        fixed: fields that are so, whatever the environment says.

    Raises:
        StartupError: every wrong or missing name at once, values withheld; or what `fetch` raises.
    """
    with _in_one_line():
        references = References().secrets_from
    if references and fetch is None:
        raise StartupError("RAG_SECRETS_FROM: nothing here can read it; give the secrets themselves")
    given = fetch(references) if fetch and references else {}
    values: dict[str, Any] = {_keyword(name): value for name, value in given.items()}
    with _in_one_line():
        return Settings(**values | fixed)


def _keyword(name: str) -> str:
    """By which a value stands in for the environment's: the name itself where the field has names of its own."""
    field = environment_names()[name]
    return name if Settings.model_fields[field].validation_alias else field


@contextmanager
def _in_one_line() -> Iterator[None]:
    leading = leading_names()
    try:
        yield
    except ValidationError as exc:
        reasons = []
        for error in exc.errors(include_input=False, include_url=False):
            where = str(error["loc"][0]) if error["loc"] else ""
            reasons.append(f"{leading.get(where, where)}: {error['msg']}".removeprefix(": "))
        raise StartupError("environment: " + "; ".join(reasons)) from exc
