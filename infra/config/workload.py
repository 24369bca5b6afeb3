"""Sections of the stack config that say what runs and who may call it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from infra.config.values import (
    Bounds,
    BoundsFromZero,
    CacheType,
    Collection,
    Count,
    Hostname,
    HttpUrl,
    ImageRef,
    MlType,
    Name,
    NodeType,
    Number,
    Percent,
    Seconds,
    Section,
    Usd,
)

HOURS_PER_MONTH = 730
Positive = Annotated[float, Number, Field(gt=0)]
GiB = Annotated[int, Number, Field(ge=8, le=16384)]


class Service(Section):
    """The container: one image for all topologies."""

    image: ImageRef | None = None  # absent: first phase, everything but the workload
    cpu: Positive = 2
    memory_gib: Positive = Field(4, alias="memoryGiB")
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    replicas: Bounds  # defaults per topology: infra.config.defaults
    deadline_seconds: Annotated[float, Number, Field(gt=0, le=25)] = 25  # budgets: request 25 s < graceful 30 s
    max_in_flight: Count | None = None  # requests at once in one replica; absent: from the model's connections


class Schedule(Section):
    """Scale down outside working hours; cron fields as AWS takes them, in `timezone`."""

    down: str = "0 20 ? * MON-FRI *"
    up: str = "0 7 ? * MON-FRI *"
    timezone: str = "UTC"
    min: Annotated[int, Number, Field(ge=0)] = 0


class Scaling(Section):
    """When to add replicas: the guide's triggers."""

    cpu_percent: Percent = 70
    memory_percent: Percent = 80
    requests_per_minute: Count = 1000  # per replica
    schedule: Schedule | None = None


class Domain(Section):
    """The public name; TLS by ACM, the record in the Route 53 zone."""

    name: Hostname
    zone: Hostname

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if self.name != self.zone and not self.name.endswith(f".{self.zone}"):
            raise ValueError(f"name {self.name} is not inside zone {self.zone}")
        return self


class TokenPrice(Section):
    """USD per million tokens, by which spending limits are kept."""

    input: Usd
    output: Usd


class Sidecar(Section):
    """llama.cpp's server beside the service, in the same task; it takes its part of `service.cpu` and `memoryGiB`."""

    image: ImageRef | None = None  # its entry point is llama-server, and the model lies in it
    cpu: Positive = 1
    memory_gib: Positive = Field(2, alias="memoryGiB")


class Generation(Section):
    """Who writes the answer, and on what it runs."""

    provider: Literal["sagemaker", "openai", "llamacpp", "none"] = "sagemaker"
    endpoint: Name = "twin"
    model: str | None = None  # defaults per provider: infra.config.defaults
    instance_type: MlType = "ml.g5.2xlarge"
    engine: Literal["vllm", "tgi"] = "vllm"
    quantization: Literal["none", "fp8", "awq", "gptq", "bitsandbytes", "eetq"] = "none"
    scaling: BoundsFromZero = BoundsFromZero()
    context_tokens: Annotated[int, Number, Field(ge=512, le=131072)] = 4096
    max_output_tokens: Annotated[int, Number, Field(ge=1, le=1024)] = 512
    llamacpp: Sidecar = Sidecar()
    usd_per_mtok: TokenPrice | None = None  # absent: the list price of OpenAI's models

    @property
    def component(self) -> str:
        """The inference component of an endpoint that scales to zero; `opsctl deploy-endpoint` names it so."""
        return f"{self.endpoint}-main"


class QueryModel(Section):
    """Self-query and expansion; `none` turns both off."""

    provider: Literal["openai", "none"] = "openai"
    model: str = "gpt-4o-mini"
    usd_per_mtok: TokenPrice | None = None  # absent: the list price


class Store(Section):
    """The instance of a self-hosted data store: the guide's ladder t3.medium, t3.large, t3.xlarge."""

    instance_type: NodeType = "t3.medium"
    disk_gib: GiB = Field(50, alias="diskGiB")
    image: ImageRef | None = None  # absent: the vendor's, by version: infra.components.store_scripts


class SmallStore(Store):
    """The same for answers that may be lost."""

    instance_type: NodeType = "t3.small"
    disk_gib: GiB = Field(8, alias="diskGiB")


class VectorStore(Store):
    """Qdrant's instances, the copies of each shard, and the shards on each instance."""

    instances: Annotated[int, Number, Field(ge=1, le=10)] = 1
    replicas: Annotated[int, Number, Field(ge=1, le=10)] = 1
    shards: Annotated[int, Number, Field(ge=1, le=64)] = 1


class Retrieval(Section):
    """Where the vectors are and how many hits an answer is built on."""

    qdrant: Literal["cloud", "self-hosted"] = "cloud"
    url: HttpUrl | None = None
    collections: Annotated[tuple[Collection, ...], Field(min_length=1)] = ("posts", "articles", "repos")
    top_k: Annotated[int, Number, Field(ge=1, le=20)] = 3
    reranker: str = "cross-encoder/ms-marco-MiniLM-L-4-v2"  # hub id that the image was built with, or none
    self_hosted: VectorStore = VectorStore()

    @field_validator("collections")
    @classmethod
    def _named_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = [name for number, name in enumerate(names) if name in names[:number]]
        if twice:
            raise ValueError(f"names {', '.join(dict.fromkeys(twice))} twice; once is enough")
        return names


class Documents(Section):
    """Where authors are looked up."""

    mongo: Literal["atlas", "self-hosted", "none"] = "atlas"
    database: Name = "rag"
    self_hosted: Store = Store()


class Cache(Section):
    """Answers of frequent questions."""

    redis: Literal["elasticache", "self-hosted", "none"]  # defaults per topology: infra.config.defaults
    ttl_seconds: Seconds = 3600
    node_type: CacheType = "cache.t4g.micro"
    nodes: Annotated[int, Number, Field(ge=1, le=6)] = 2  # two or more: in several zones, fails over by itself
    self_hosted: SmallStore = SmallStore()


class Slack(Section):
    """Where AWS Chatbot posts."""

    workspace_id: str
    channel_id: str


class Monitoring(Section):
    """The guide's alert thresholds and who hears of them."""

    error_rate_percent: Percent = 5
    p95_seconds: Seconds = 10
    pager_duty: SecretStr | None = None
    slack: Slack | None = None
    opik: bool = False
    opik_workspace: str | None = None
    otlp_endpoint: HttpUrl | None = None  # of an OpenTelemetry collector; absent: no traces
    degraded_percent: Percent = 25  # of the answers may do without a stage
    min_requests_per_hour: Count = 1
    idle_hours: Annotated[int, Number, Field(ge=1, le=24)] = 6  # an alarm looks back a day at most
    certificate_days: Count = 21
    disk_percent: Annotated[int, Number, Field(ge=10, le=94)] = 80  # of a store's volume; at 95 somebody is woken
    canary_minutes: Annotated[int, Number, Field(ge=0, le=60)] = 5  # 0: nobody asks from outside
    slo_availability_percent: Annotated[float, Number, Field(ge=90, le=99.99)] = 99.5
    slo_latency_percent: Percent = 95  # of the answers within p95Seconds
    self_healing: bool = True  # a failed model endpoint is brought back once, by a function of the stack's own
    runbook_url: str = "docs/operations.md"  # alarms end with a link below it
    log_retention_days: Literal[1, 3, 7, 14, 30, 60, 90, 180, 365, 400, 731, 1096, 1827, 3653] = 365


class Budget(Section):
    """What the stack may cost before somebody is told."""

    monthly_usd: Usd = Field(default=2000, validate_default=True)
    hourly_usd: Usd | None = None  # absent: twice the monthly limit's even rate
    anomaly_usd: Usd = Field(default=20, validate_default=True)  # of a day's unusual spend

    @property
    def most_per_hour_usd(self) -> Decimal:
        """Above it an hour is unusual."""
        return self.monthly_usd * 2 / HOURS_PER_MONTH if self.hourly_usd is None else self.hourly_usd
