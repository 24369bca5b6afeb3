"""What a topology tells the monitoring about itself: its front, its copies, its stores, its endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pulumi

from infra.components.observability.metrics import MINUTE_S, Metric, own

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.config import StackConfig

GENERATED_KEY = "apiKey-default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What callers meet, in metrics.

    Attributes:
        requests: those that reached the service.
        failed: of these, the ones that ended as 5xx.
        rejected: 5xx that the platform gave without asking the service; in `requests` or not.
        latency: p95 of the answers.
        latency_unit_s: what one unit of it is, in seconds.
        unhealthy: how many copies fail their health check; None where the platform doesn't say.
    """

    requests: Metric
    failed: Metric
    latency: Metric
    rejected: Metric | None = None
    latency_unit_s: float = 1.0
    unhealthy: Metric | None = None


def load_balancer(balancer: pulumi.Input[str], targets: pulumi.Input[str]) -> Front:
    """An application load balancer and its target group, by their ARN suffixes."""
    of = {"LoadBalancer": balancer}
    space = "AWS/ApplicationELB"
    return Front(
        requests=Metric(space, "RequestCount", of),
        failed=Metric(space, "HTTPCode_Target_5XX_Count", of),
        rejected=Metric(space, "HTTPCode_ELB_5XX_Count", of),
        latency=Metric(space, "TargetResponseTime", of, "p95"),
        unhealthy=Metric(space, "UnHealthyHostCount", {**of, "TargetGroup": targets}, "Minimum"),
    )


def rest_api(name: pulumi.Input[str], stage: pulumi.Input[str]) -> Front:
    """A Regional REST API in front of the function."""
    of = {"ApiName": name, "Stage": stage}
    space = "AWS/ApiGateway"
    return Front(
        requests=Metric(space, "Count", of),
        failed=Metric(space, "5XXError", of),
        latency=Metric(space, "IntegrationLatency", of, "p95"),
        latency_unit_s=0.001,
    )


def service_alone(namespace: str) -> Front:
    """Where the platform publishes nothing: what the service says of itself."""
    return Front(
        requests=own(namespace, "requests"),
        failed=own(namespace, "errors"),
        latency=own(namespace, "total_latency_ms", "p95"),
        latency_unit_s=0.001,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """How many copies of the service run, and should; `most` is where scaling ends, `load` how busy they are."""

    running: Metric
    wanted: Metric
    most: int
    load: tuple[tuple[str, Metric], ...] = ()


def ecs_copies(cluster: pulumi.Input[str], service: pulumi.Input[str], most: int) -> Copies:
    """Tasks, by Container Insights."""
    of = {"ClusterName": cluster, "ServiceName": service}
    space = "ECS/ContainerInsights"
    return Copies(
        running=Metric(space, "RunningTaskCount", of, "Average", MINUTE_S),
        wanted=Metric(space, "DesiredTaskCount", of, "Average", MINUTE_S),
        most=most,
        load=(
            ("CPU, percent", Metric("AWS/ECS", "CPUUtilization", of, "Average")),
            ("Memory, percent", Metric("AWS/ECS", "MemoryUtilization", of, "Average")),
        ),
    )


def kube_copies(cluster: pulumi.Input[str], namespace: str, deployment: str, most: int) -> Copies:
    """Pods of a Deployment, by Container Insights, which calls the owner of pods by their name."""
    of = {"ClusterName": cluster, "Namespace": namespace, "PodName": deployment}
    space = "ContainerInsights"
    return Copies(
        running=Metric(space, "replicas_ready", of, "Average", MINUTE_S),
        wanted=Metric(space, "replicas_desired", of, "Average", MINUTE_S),
        most=most,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What there is to watch; a topology leaves out what it doesn't have.

    Attributes:
        namespace: of the service's own metrics.
        front: what callers meet.
        serves: the workload is there (not in the first phase of the bootstrap).
        copies: None where the platform has no such number (Lambda, an edge).
        generator: provider of the model: sagemaker, openai, llamacpp, none.
        endpoint: name of the SageMaker endpoint.
        component: the inference component of an endpoint that scales to zero.
        asks_openai: for the query model or for answers.
        certificate_arn: of the public name.
        url: where callers ask; None where nobody outside may.
        key_secret: ARN of the secret with a key of the stack's own.
        open_to_all: callers need no key.
        log_group: where the service's lines go.
        backups: what is saved each night -> how many backups were finished.
        disks: store -> how full its fullest volume is.
        hosts: of edges, by the names that their metrics carry; empty where the service runs in the cloud.
    """

    namespace: str
    front: Front
    serves: bool
    generator: str
    copies: Copies | None = None
    endpoint: str | None = None
    component: str | None = None
    asks_openai: bool = False
    certificate_arn: pulumi.Input[str] | None = None
    url: pulumi.Input[str] | None = None
    key_secret: pulumi.Input[str] | None = None
    open_to_all: bool = False
    log_group: pulumi.Input[str] | None = None
    backups: Mapping[str, Metric] = field(default_factory=dict)
    disks: Mapping[str, Metric] = field(default_factory=dict)
    hosts: Sequence[str] = ()


def watched(
    cfg: StackConfig,
    front: Front,
    *,
    url: pulumi.Input[str] | None,
    secrets: Mapping[str, pulumi.Input[str]],
    log_group: pulumi.Input[str] | None,
    copies: Copies | None = None,
    certificate_arn: pulumi.Input[str] | None = None,
    backups: Mapping[str, Metric] | None = None,
    disks: Mapping[str, Metric] | None = None,
) -> Watched:
    """What the config says of a stack, with what only its topology knows."""
    asked = cfg.generation
    endpoint = asked.endpoint if asked.provider == "sagemaker" else None
    return Watched(
        namespace=f"rag-platform/{cfg.stack}",
        front=front,
        serves=cfg.has_workload,
        generator=asked.provider,
        copies=copies,
        endpoint=endpoint,
        component=asked.component if endpoint and asked.scaling.min == 0 else None,
        asks_openai="openai" in {asked.provider, cfg.query_model.provider},
        certificate_arn=certificate_arn,
        url=url if cfg.access.public_ingress else None,
        key_secret=secrets.get(GENERATED_KEY),
        open_to_all=cfg.access.auth == "none",
        log_group=log_group,
        backups=backups or {},
        disks=disks or {},
    )


def watched_edge(cfg: StackConfig, hosts: Sequence[str]) -> Watched:
    """An edge: nobody asks it from outside, and of its calls only the answers from the cloud are counted."""
    namespace = f"rag-platform/{cfg.stack}"
    asleep_alone = cfg.generation.scaling.min == 0
    behind = cfg.hybrid.fallback.kind == "sagemaker"
    return Watched(
        namespace=namespace,
        front=service_alone(namespace),
        serves=True,
        generator="none",
        endpoint=cfg.generation.endpoint if behind else None,
        component=cfg.generation.component if behind and asleep_alone else None,
        hosts=hosts,
    )
