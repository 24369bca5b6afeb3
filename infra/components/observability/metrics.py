"""Every metric that the stack refers to, by name: the service's own, and those that AWS publishes.

A test holds the service's names to what a running service emits, and AWS's to a table with their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi

MINUTE_S = 60
FIVE_MINUTES_S = 5 * MINUTE_S
QUARTER_S = 15 * MINUTE_S
HOUR_S = 3600
DAY_S = 24 * HOUR_S
SERVICE = "rag-platform"  # value of the dimension that all of the service's own metrics carry
VARIANT = "main"  # `opsctl deploy-endpoint` names the variant of an endpoint so

Own = Literal[
    "breakers_open",
    "cache_hits",
    "cache_misses",
    "client_errors",
    "concurrent_requests",
    "degraded",
    "errors",
    "fallbacks",
    "generation_latency_ms",
    "input_tokens",
    "openai_requests_remaining",
    "openai_tokens_remaining",
    "output_tokens",
    "processes",
    "query_cost_usd",
    "query_expansion_latency_ms",
    "queue_depth",
    "refused",
    "requests",
    "reranking_latency_ms",
    "retrieval_latency_ms",
    "self_query_latency_ms",
    "timeouts",
    "total_latency_ms",
    "unpriced_queries",
]
OfFunctions = Literal["available", "canary_latency_ms", "hourly_cost_usd", "unpriced_resources"]
OfDependency = Literal["dependency_calls", "dependency_failures", "dependency_limited"]
OfStore = Literal["backups"]
OfEdges = Literal["answers", "cloud_answers"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric and how a period of it becomes a number.

    Attributes:
        stat: CloudWatch's word: Sum, Average, Minimum, Maximum, SampleCount, p95, ...
    """

    namespace: str
    name: str
    dimensions: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    stat: str = "Sum"
    period_s: int = MINUTE_S


@dataclass(frozen=True, slots=True)
class Math:
    """A number made of several metrics of the same period.

    Attributes:
        expression: CloudWatch's metric math over the ids of `of`.
        label: what the number is.
    """

    expression: str
    of: Mapping[str, Metric]
    label: str


def own(namespace: str, name: Own | OfFunctions, stat: str = "Sum", period_s: int = MINUTE_S) -> Metric:
    """A metric of the service, over all its routes; or one that the stack's own functions write beside it."""
    return Metric(namespace, name, {"Service": SERVICE}, stat, period_s)


def dependency(namespace: str, name: OfDependency, which: str, period_s: int = MINUTE_S) -> Metric:
    """What the service counts of its calls to one dependency."""
    return Metric(namespace, name, {"Service": SERVICE, "Dependency": which}, "Sum", period_s)


def of_edges(namespace: str, name: OfEdges, period_s: int = MINUTE_S) -> Metric:
    """What edges push besides the service's own names: all of them together."""
    return Metric(namespace, name, {"Service": SERVICE}, "Sum", period_s)


def heartbeat(namespace: str, host: str, period_s: int = MINUTE_S) -> Metric:
    """The signs of life of one edge, one a minute while it is online."""
    return Metric(namespace, "heartbeat", {"Service": SERVICE, "Host": host}, "Sum", period_s)


def saved(namespace: str, kind: str, name: OfStore = "backups") -> Metric:
    """How many backups of a store were finished; the job that makes them says so."""
    return Metric(namespace, name, {"Service": SERVICE, "Store": kind}, "Sum", HOUR_S)


def disk(namespace: str, kind: str, labels: Mapping[str, str]) -> Metric:
    """How full a store's fullest volume is, in percent; what reports it says so under these labels besides."""
    return Metric(namespace, "disk_used_percent", {"Service": SERVICE, "Store": kind, **labels}, "Maximum", 300)


def snapshots(policy: pulumi.Input[str]) -> Metric:
    """How many snapshots of volumes a policy of Data Lifecycle Manager finished."""
    return Metric("AWS/EBS", "SnapshotsCreateCompleted", {"DLMPolicyId": policy}, "Sum", HOUR_S)


def endpoint(
    name: str, metric: str, component: str | None = None, stat: str = "Sum", period_s: int = MINUTE_S
) -> Metric:
    """What SageMaker counts of a model's invocations: of the endpoint's, or of the component's where it has one."""
    of = {"InferenceComponentName": component} if component else {"EndpointName": name, "VariantName": VARIANT}
    return Metric("AWS/SageMaker", metric, of, stat, period_s)


def endpoint_host(name: str, metric: str, stat: str = "Average", period_s: int = MINUTE_S) -> Metric:
    """What SageMaker measures on a model endpoint's instances, each once a minute."""
    return Metric("/aws/sagemaker/Endpoints", metric, {"EndpointName": name, "VariantName": VARIANT}, stat, period_s)
