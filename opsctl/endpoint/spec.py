"""What a model endpoint is to be, as one frozen value that everything else is derived from.

Holds no secret: a gated model is copied to the bucket first (`opsctl model upload`), so that no endpoint needs a token.
It imports nothing but the standard library, since the self-healing function carries it too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Engine = Literal["vllm", "tgi"]
# Driver 550: the containers carry CUDA 12.4 (TGI) and 12.9 (vLLM). Without it they die before their first log line.
INFERENCE_AMI = "al2-ami-sagemaker-inference-gpu-3-1"


@dataclass(frozen=True, slots=True)
class Classic:
    """The model is the variant's; instances are scaled, and one of them always runs."""

    min_instances: int
    max_instances: int


@dataclass(frozen=True, slots=True)
class ScaleToZero:
    """The model is an inference component; copies are scaled, down to none where nobody asks."""

    max_copies: int


Shape = Classic | ScaleToZero


@dataclass(frozen=True, slots=True)
class HubModel:
    """Weights that the container pulls from the Hugging Face hub when it starts."""

    model: str


@dataclass(frozen=True, slots=True)
class BucketModel:
    """Weights that SageMaker copies from S3; `uri` is a prefix and ends with a slash."""

    model: str
    uri: str


Source = HubModel | BucketModel


@dataclass(frozen=True, slots=True)
class Vpc:
    """The network of the containers."""

    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartLimits:
    """How long a container may take, in seconds; SageMaker takes 60 to 3600."""

    startup_s: int = 1200  # 15 GiB of weights from the hub, then CUDA graphs
    download_s: int = 1200


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Above what an update is taken back; without alarms SageMaker never rolls back."""

    errors_per_minute: int = 5
    latency_s: float = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """One endpoint, wholly; data capture is off by having no field.

    Attributes:
        stack: the owner; in every object's tags.
        endpoint: the endpoint's name, which the service calls.
        image: of the model server, in the region's own repository.
        key_arn: encrypts the volume where the instance type allows it.
        vpc: None where the stack has no network.
        isolated: no network for the container; only where the weights come from S3.
        environment: of the container, beside what the engine needs.
        tags: for the cost reports; they don't make another endpoint.
    """

    stack: str
    endpoint: str
    region: str
    engine: Engine
    image: str
    source: Source
    instance_type: str
    shape: Shape
    role_arn: str
    quantization: str = "none"
    context_tokens: int = 4096
    key_arn: str | None = None
    vpc: Vpc | None = None
    isolated: bool = False
    limits: StartLimits = StartLimits()
    thresholds: Thresholds = Thresholds()
    inference_ami: str | None = INFERENCE_AMI
    environment: tuple[tuple[str, str], ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
