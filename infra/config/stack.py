"""StackConfig: the whole stack config as one frozen value; no parsing, no pulumi."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from infra.config.access import Access
from infra.config.platforms import Ecs, Eks, Hybrid, Lambda, Network
from infra.config.values import Bounds, Name, Section
from infra.config.workload import (
    Budget,
    Cache,
    Documents,
    Domain,
    Generation,
    Monitoring,
    QueryModel,
    Retrieval,
    Scaling,
    Service,
)
from infra.node_pool import nodes_for, shares

Topology = Literal["ecs", "eks", "lambda", "hybrid"]
CLOUD: tuple[Topology, ...] = ("ecs", "eks", "lambda")


class Secrets(Section):
    """Vendor credentials; each lands in Secrets Manager and is handed on by reference only."""

    openai_api_key: SecretStr | None = None
    qdrant_api_key: SecretStr | None = None
    mongo_url: SecretStr | None = None
    hugging_face_token: SecretStr | None = None
    opik_api_key: SecretStr | None = None
    fallback_api_key: SecretStr | None = None


class StackConfig(Section):
    """Every key of the `rag-platform` namespace, plus the stack's name and `aws:region`."""

    stack: str
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] | None = None  # the key aws:region
    topology: Topology
    environment: Literal["production", "development"]
    service: Service
    scaling: Scaling
    domain: Domain | None = None
    access: Access
    generation: Generation
    query_model: QueryModel
    retrieval: Retrieval
    documents: Documents
    cache: Cache
    network: Network
    monitoring: Monitoring
    budget: Budget
    ecs: Ecs
    eks: Eks
    lambda_: Lambda = Field(alias="lambda")
    hybrid: Hybrid
    secrets: Secrets
    tags: Mapping[Name, str] = {}
    protect: bool = True
    cdn: bool = False

    @property
    def development(self) -> bool:
        """Whether the loosening keys (tags, no TLS, no auth) are allowed."""
        return self.environment == "development"

    @property
    def has_workload(self) -> bool:
        """Whether there is something to run, or only the first phase is built."""
        if self.topology == "lambda" and self.lambda_.packaging == "zip":
            return self.lambda_.artifact is not None
        return self.service.image is not None

    @property
    def has_network(self) -> bool:
        """Whether the cloud half has a VPC: functions get one only for what is private, containers always."""
        private = "self-hosted" in {self.retrieval.qdrant, self.documents.mongo, self.cache.redis}
        return self.topology in {"ecs", "eks"} or (
            self.topology == "lambda" and (private or self.cache.redis == "elasticache")
        )

    @property
    def bundle_bucket(self) -> bool:
        """Whether edges find new bundles in a bucket: as said, else where there is a region to have one in."""
        asked = self.hybrid.bundle.bucket
        return self.topology == "hybrid" and (self.region is not None if asked is None else asked)

    @property
    def edge_cloud(self) -> bool:
        """Whether an edge has a cloud half; without one it needs no account and no provider."""
        return self.bundle_bucket or (self.topology == "hybrid" and self.hybrid.fallback.kind == "sagemaker")

    @property
    def edge_model(self) -> str | None:
        """GGUF of the edge: `hybrid.edge.model`, else the llamacpp generation model, else the installed small one."""
        return self.hybrid.edge.model or (self.generation.model if self.generation.provider == "llamacpp" else None)

    @property
    def node_bounds(self) -> Bounds:
        """EKS nodes: `max` as given, else what the replicas, one more for an update, and all else need."""
        nodes = self.eks.nodes
        needed = nodes_for(nodes.instance_type, shares(self, self.service.replicas.max))
        return Bounds(min=nodes.min, max=nodes.max or max(needed, nodes.min))
