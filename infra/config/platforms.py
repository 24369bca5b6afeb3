"""Sections of the stack config that say where it runs: network, and one block for each topology."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.config.edge_cloud import BundleStore, EdgeAlarms, Identity
from infra.config.values import (
    Bounds,
    Cidr,
    Count,
    HttpsUrl,
    NodeType,
    Number,
    Port,
    PrincipalArn,
    PrivateCidr,
    Section,
)

InterfaceService = Literal[
    "bedrock-runtime",
    "ecr.api",
    "ecr.dkr",
    "kms",
    "logs",
    "monitoring",
    "sagemaker.runtime",
    "ssm",
    "secretsmanager",
    "sts",
]
SNAPSHOT_EPHEMERAL_MIB = 512  # AWS: SnapStart
HOST_PATTERN = r"local|(ssh://)?([A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?"


class Network(Section):
    """The VPC of the cloud topologies."""

    cidr: PrivateCidr = "10.20.0.0/16"
    zones: Annotated[int, Number, Field(ge=2, le=4)] = 2
    nat: Literal["single", "per-zone"] = "single"
    flow_logs: bool = True
    # An endpoint costs about a tenth of a NAT gateway per zone and pays above some 160 GB a month; S3 is always free.
    interface_endpoints: tuple[InterfaceService, ...] = ()


class Ecs(Section):
    """What the tasks run on."""

    capacity: Literal["fargate", "fargate-spot", "ec2"] = "fargate"
    instance_type: NodeType = "t3.medium"  # capacity ec2
    instances: Bounds = Bounds(min=2, max=5)  # capacity ec2
    exec: bool = False  # a shell in the container


class Resources(Section):
    """CPU and memory of a container."""

    cpu: Annotated[float, Number, Field(gt=0, le=192)]
    memory_gib: Annotated[float, Number, Field(gt=0, le=768)] = Field(alias="memoryGiB")


class Sized(Section):
    """A section whose `Resources` may be given in part: the default says the other half."""

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        whole = dict(given)
        for name, info in cls.model_fields.items():
            if isinstance(info.default, Resources) and isinstance(whole.get(name), Mapping):
                whole[name] = info.default.model_dump(by_alias=True) | dict(whole[name])
        return whole


class StoreResources(Sized):
    """CPU and memory of the pods of self-hosted data stores; the limit of the CPU is twice as much."""

    qdrant: Resources = Resources(cpu=0.5, memoryGiB=2)
    mongo: Resources = Resources(cpu=0.5, memoryGiB=1)
    redis: Resources = Resources(cpu=0.1, memoryGiB=0.5)


class Nodes(Section):
    """Managed nodes; without `max` it is what the replicas need."""

    instance_type: NodeType = "t3.medium"
    min: Count = 3
    max: Count | None = None
    capacity: Literal["on-demand", "spot"] = "on-demand"
    disk_gib: Annotated[int, Number, Field(ge=20, le=16384)] = Field(40, alias="diskGiB")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Eks(Sized):
    """The cluster and the pod's sizes."""

    version: Annotated[str, Field(pattern=r"^1\.(3[2-9]|[4-9][0-9])$")] = "1.35"
    mode: Literal["managed", "auto"] = "managed"
    controller: Literal["install", "existing"] = "install"
    nodes: Nodes = Nodes()
    requests: Resources = Resources(cpu=1, memoryGiB=2)
    limits: Resources = Resources(cpu=2, memoryGiB=4)
    stores: StoreResources = StoreResources()  # self-hosted Qdrant, MongoDB and Valkey
    service_cidr: Cidr = "172.20.0.0/16"
    endpoint_public_cidrs: tuple[Cidr, ...] = ()  # empty: the API server is private
    admins: tuple[PrincipalArn, ...] = ()  # IAM roles and users; whoever builds the stack is one already

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.requests.cpu > self.limits.cpu or self.requests.memory_gib > self.limits.memory_gib:
            raise ValueError("requests are above limits")
        if any(cidr.endswith("/0") for cidr in self.endpoint_public_cidrs):
            raise ValueError("endpointPublicCidrs opens the API server to the whole internet; name your networks")
        return self


class Throttle(Section):
    """What the API lets through; all callers together."""

    requests_per_second: Annotated[float, Number, Field(gt=0, le=10_000)] = 50
    burst: Annotated[int, Number, Field(ge=1, le=5_000)] = 100


class Lambda(Section):
    """The function behind the REST API."""

    memory_mib: Annotated[int, Number, Field(ge=128, le=10240)] = Field(3008, alias="memoryMiB")
    timeout_seconds: Annotated[int, Number, Field(ge=30, le=900)] = 120  # above the request deadline of 25 s
    ephemeral_mib: Annotated[int, Number, Field(ge=512, le=10240)] = Field(512, alias="ephemeralMiB")  # of /tmp
    provisioned_concurrency: Annotated[int, Number, Field(ge=0, le=1000)] = 0
    reserved_concurrency: Count | None = 50  # what a flood can cost, and what it can ask of the stores; null: no limit
    packaging: Literal["image", "zip"] = "image"
    artifact: str | None = None  # packaging zip; absent: first phase
    rollout: Literal["all-at-once", "canary", "linear"] = "all-at-once"
    throttle: Throttle = Throttle()
    gateway_log_role: Literal["install", "existing"] = "install"  # an account has one for each region

    @model_validator(mode="after")
    def _concurrency(self) -> Self:
        if self.reserved_concurrency is not None and self.provisioned_concurrency > self.reserved_concurrency:
            raise ValueError(
                f"provisionedConcurrency {self.provisioned_concurrency} is above reservedConcurrency "
                f"{self.reserved_concurrency}"
            )
        return self

    @model_validator(mode="after")
    def _snapshots(self) -> Self:
        """AWS combines SnapStart, by which a zip starts, with neither of the two."""
        if self.packaging == "zip" and self.provisioned_concurrency:
            raise ValueError("packaging zip starts from snapshots, which excludes provisionedConcurrency; use image")
        if self.packaging == "zip" and self.ephemeral_mib > SNAPSHOT_EPHEMERAL_MIB:
            raise ValueError(f"packaging zip starts from snapshots, which excludes ephemeralMiB {self.ephemeral_mib}")
        return self


class Edge(Section):
    """The edge hosts and the service on them."""

    hosts: Annotated[
        tuple[Annotated[str, Field(pattern=f"^({HOST_PATTERN})$")], ...], Field(min_length=1, max_length=64)
    ] = ("local",)
    bind: str = "127.0.0.1"
    port: Port = 8080
    metrics_port: Port = 9090
    llm_port: Port = 8081
    privacy: Literal["local-only", "allow-cloud"] = "allow-cloud"
    deadline_seconds: Annotated[float, Number, Field(gt=0, le=3600)] = 120
    threads: Annotated[int, Number, Field(ge=1, le=256)] = 2
    source: Annotated[str, Field(min_length=1)] | None = None  # a folder of documents; absent: the demo corpus
    model: str | None = None  # path or hub id of a GGUF; absent: the small one that is installed
    identity: Identity = Identity()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ports = (self.port, self.metrics_port, self.llm_port)
        if len(set(ports)) != len(ports):
            raise ValueError(f"port {ports[0]}, metricsPort {ports[1]} and llmPort {ports[2]} must differ")
        try:
            ipaddress.ip_address(self.bind)
        except ValueError as exc:
            raise ValueError(f"bind is not an IP address such as 127.0.0.1 ({self.bind})") from exc
        if len(set(self.hosts)) != len(self.hosts):
            raise ValueError("hosts names a host twice")
        return self


class Fallback(Section):
    """Who answers when the edge can't."""

    kind: Literal["sagemaker", "service", "none"] = "sagemaker"
    url: HttpsUrl | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "service" and self.url is None:
            raise ValueError("kind is service, but url, the other stack's address, is missing")
        return self


class Index(Section):
    """The FAISS index of the bundle."""

    type: Literal["sq8", "flat", "ivf-sq8", "hnsw"] = "sq8"
    min_recall: Annotated[float, Number, Field(gt=0, le=1)] = 0.98  # recall@10 against exact search


class Hybrid(Section):
    """Edge first, cloud behind it."""

    edge: Edge = Edge()
    fallback: Fallback = Fallback()
    index: Index = Index()
    bundle: BundleStore = BundleStore()
    alarms: EdgeAlarms = EdgeAlarms()
