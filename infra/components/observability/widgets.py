"""The dashboard as data: for each widget the metrics of CloudWatch, and the same question to Prometheus."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.components.observability.metrics import (
    DAY_S,
    HOUR_S,
    Math,
    Metric,
    Own,
    dependency,
    endpoint,
    endpoint_host,
    heartbeat,
    of_edges,
    own,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.components.observability.watched import Front, Watched
    from infra.config.workload import Budget, Monitoring

STAGES = ("self_query", "query_expansion", "retrieval", "reranking", "generation")
DEPENDENCIES = ("query-model", "generator", "qdrant", "mongo", "redis")
TOTAL: Own = "total_latency_ms"
PERCENTILES = ("p50", "p95", "p99")
QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
CAUSES = ("errors", "timeouts", "refused", "client_errors")


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a widget."""

    label: str
    of: Metric | Math


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget:
    """One field of the dashboard.

    Attributes:
        unit: of all its series, in Grafana's words.
        series: for CloudWatch.
        prometheus: label -> query, for who scrapes /metrics; empty where the platform alone knows.
        line: a threshold that is drawn.
    """

    title: str
    series: tuple[Series, ...]
    unit: str = "short"
    prometheus: tuple[tuple[str, str], ...] = ()
    line: float | None = None


def _quantile(name: str, share: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({name}_bucket[5m])))"


def service_widgets(space: str, p95_s: float, error_percent: float) -> Iterator[Widget]:
    """What the service says of itself in the cloud, whatever runs it."""
    yield from _answers(space, p95_s, error_percent)
    yield Widget(
        title="Time per stage, p95",
        unit="ms",
        series=tuple(Series(stage, own(space, f"{stage}_latency_ms", "p95")) for stage in STAGES),  # type: ignore[arg-type]
        prometheus=tuple((stage, _quantile(f"{stage}_latency_ms", "0.95")) for stage in STAGES),
    )
    yield Widget(
        title="Errors by cause",
        series=tuple(Series(name, own(space, name)) for name in CAUSES),  # type: ignore[arg-type]
        prometheus=(("{{cause}}", "60 * sum by (cause) (rate(errors_total[5m]))"),),
    )
    yield from _dependencies(space)
    yield from _load(space)
    yield from _money(space)


def edge_widgets(space: str, hosts: Sequence[str], p95_s: float, error_percent: float) -> Iterator[Widget]:
    """What edges push while they are online; the rest is in each one's /metrics, for `docs/grafana.json`."""
    yield from _answers(space, p95_s, error_percent)
    yield Widget(
        title="Answers, and those that the cloud gave",
        series=(Series("answers", of_edges(space, "answers")), Series("cloud", of_edges(space, "cloud_answers"))),
    )
    yield Widget(
        title="Signs of life, one a minute",
        series=tuple(Series(host, heartbeat(space, host)) for host in hosts),
    )
    yield Widget(
        title="Degraded answers, and refused requests",
        series=(Series("degraded", own(space, "degraded")), Series("refused", own(space, "refused"))),
    )


def _answers(space: str, p95_s: float, error_percent: float) -> Iterator[Widget]:
    yield Widget(
        title="Latency",
        unit="ms",
        series=tuple(Series(each, own(space, TOTAL, each)) for each in PERCENTILES),
        prometheus=tuple((each, _quantile(TOTAL, QUANTILES[each])) for each in PERCENTILES),
        line=p95_s * 1000,
    )
    yield Widget(
        title="Throughput, requests a minute",
        series=(Series("requests", own(space, "requests")),),
        prometheus=(("requests", "60 * sum(rate(requests_total[5m]))"),),
    )
    failed = Math("100*errors/requests", {name: own(space, name) for name in ("errors", "requests")}, "errors")
    yield Widget(
        title="Error rate, percent",
        unit="percent",
        series=(Series("errors", failed),),
        prometheus=(("errors", '100 * sum(rate(requests_total{status=~"5.."}[5m])) / sum(rate(requests_total[5m]))'),),
        line=error_percent,
    )


def _dependencies(space: str) -> Iterator[Widget]:
    yield Widget(
        title="Calls to dependencies that failed",
        series=tuple(Series(each, dependency(space, "dependency_failures", each)) for each in DEPENDENCIES),
        prometheus=(
            (
                "{{dependency}} {{outcome}}",
                '60 * sum by (dependency, outcome) (rate(dependency_latency_ms_count{outcome!~"ok|cut_off"}[5m]))',
            ),
        ),
    )
    yield Widget(
        title="Calls to dependencies",
        series=tuple(Series(each, dependency(space, "dependency_calls", each)) for each in DEPENDENCIES),
        prometheus=(("{{dependency}}", "60 * sum by (dependency) (rate(dependency_latency_ms_count[5m]))"),),
    )
    yield Widget(
        title="OpenAI: what is left, and refused calls",
        series=(
            Series("requests left", own(space, "openai_requests_remaining", "Minimum")),
            Series("tokens left", own(space, "openai_tokens_remaining", "Minimum")),
            Series("refused, query model", dependency(space, "dependency_limited", "query-model")),
            Series("refused, generator", dependency(space, "dependency_limited", "generator")),
        ),
        prometheus=(
            ("{{kind}} left", "min by (kind) (openai_ratelimit_remaining)"),
            ("refused", '60 * sum(rate(dependency_latency_ms_count{outcome=~"upstream_.*"}[5m]))'),
        ),
    )


def _load(space: str) -> Iterator[Widget]:
    looked_up = {"hits": own(space, "cache_hits"), "misses": own(space, "cache_misses")}
    yield Widget(
        title="Cache hits, percent",
        unit="percent",
        series=(Series("hits", Math("100*hits/(hits+misses)", looked_up, "hits")),),
        prometheus=(
            (
                "hits",
                '100 * sum(rate(cache_requests_total{outcome="hit"}[5m])) / sum(rate(cache_requests_total[5m]))',
            ),
        ),
    )
    yield Widget(
        title="In flight, and waiting for another's answer",
        series=(
            Series("in flight, most", own(space, "concurrent_requests", "Maximum")),
            Series("waiting, most", own(space, "queue_depth", "Maximum")),
        ),
        prometheus=(("in flight", "sum(concurrent_requests)"), ("waiting", "sum(queue_depth)")),
    )
    yield Widget(
        title="Degraded answers, fallbacks, open breakers",
        series=(
            Series("degraded", own(space, "degraded")),
            Series("fallbacks", own(space, "fallbacks")),
            Series("breakers open", own(space, "breakers_open", "Maximum")),
        ),
        prometheus=(
            ("degraded, {{stage}}", "60 * sum by (stage) (rate(degraded_total[5m]))"),
            ("served by {{served_by}}", "60 * sum by (served_by) (rate(requests_total[5m]))"),
            ("{{dependency}} open", 'max by (dependency) (breaker_state{state="open"})'),
        ),
    )


def _money(space: str) -> Iterator[Widget]:
    yield Widget(
        title="Cost of a query, USD",
        unit="currencyUSD",
        series=(Series("mean", own(space, "query_cost_usd", "Average")),),
        prometheus=(("mean", "sum(rate(query_cost_usd_sum[1h])) / sum(rate(query_cost_usd_count[1h]))"),),
    )
    yield Widget(
        title="Tokens a minute",
        series=(
            Series("input", own(space, "input_tokens")),
            Series("output", own(space, "output_tokens")),
        ),
        prometheus=(("{{direction}}", "60 * sum by (direction) (rate(tokens_total[5m]))"),),
    )
    yield Widget(
        title="Spend on models, USD an hour",
        unit="currencyUSD",
        series=(Series("models", own(space, "query_cost_usd", "Sum", HOUR_S)),),
        prometheus=(("models", "3600 * sum(rate(query_cost_usd_sum[1h]))"),),
    )


def platform_widgets(watched: Watched) -> Iterator[Widget]:
    """What the platform says: its front, its copies, the model endpoint."""
    front = watched.front
    answers = [Series("requests", front.requests), Series("5xx", front.failed)]
    if front.rejected is not None:
        answers.append(Series("5xx of the front itself", front.rejected))
    yield Widget(title="Front: answers", series=tuple(answers))
    yield Widget(title="Front: p95", series=(Series("p95", front.latency),))
    if front.unhealthy is not None:
        yield Widget(title="Copies that fail their health check", series=(Series("unhealthy", front.unhealthy),))
    copies = watched.copies
    if copies is not None:
        counts = (Series("running", copies.running), Series("wanted", copies.wanted))
        yield Widget(title="Copies", series=counts, line=copies.most)
        yield from (Widget(title=title, series=(Series(title, metric),)) for title, metric in copies.load)
    if watched.backups:
        finished = (Series(kind, replace(metric, period_s=DAY_S)) for kind, metric in watched.backups.items())
        yield Widget(title="Backups that were finished, by day", series=tuple(finished))
    if watched.disks:
        yield Widget(
            title="Volumes of the stores, percent used",
            unit="percent",
            series=tuple(Series(kind, used) for kind, used in watched.disks.items()),
        )
    if watched.endpoint is not None:
        yield from _endpoint(watched.endpoint, watched.component)


def _endpoint(name: str, component: str | None) -> Iterator[Widget]:
    used = ("GPUUtilization", "GPUMemoryUtilization", "CPUUtilization", "MemoryUtilization")
    yield Widget(
        title="SageMaker utilisation, percent",
        unit="percent",
        series=tuple(Series(metric, endpoint_host(name, metric)) for metric in used),
    )
    asked = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors")
    yield Widget(
        title="SageMaker invocations", series=tuple(Series(each, endpoint(name, each, component)) for each in asked)
    )
    slow = endpoint(name, "ModelLatency", component)
    yield Widget(
        title="SageMaker model latency, microseconds",
        series=tuple(Series(each, replace(slow, stat=each)) for each in PERCENTILES),
    )
    samples = endpoint_host(name, "CPUUtilization", "SampleCount")  # one a minute from each instance
    yield Widget(title="SageMaker instances", series=(Series("instances", samples),))


def stack_widgets(watched: Watched, config: Monitoring, budget: Budget) -> Iterator[Widget]:
    """What the stack's own functions measure: the promise, as seen from outside, and what an hour costs."""
    space, front = watched.namespace, watched.front
    if watched.url is not None and config.canary_minutes:
        yield Widget(
            title="Available, asked from outside",
            series=(Series("available", own(space, "available", "Average", HOUR_S)),),
        )
        yield Widget(
            title="Canary, all checks",
            unit="ms",
            series=(Series("time", own(space, "canary_latency_ms", "Average", HOUR_S)),),
        )
    allowed = 100 - config.slo_availability_percent
    asked = {name: replace(metric, period_s=DAY_S) for name, metric in _asked(front).items()}
    failed = "+".join(f"FILL({name},0)" for name in asked if name != "requests")
    left = f"100*(1-(100*({failed})/requests)/{allowed:.4g})"
    yield Widget(
        title=f"Error budget left of the day, percent ({config.slo_availability_percent:g} % promised)",
        unit="percent",
        series=(Series("left", Math(left, asked, "left")),),
        line=0,
    )
    yield Widget(
        title="Cost of what runs, USD an hour",
        unit="currencyUSD",
        series=(
            Series("an hour", own(space, "hourly_cost_usd", "Maximum", HOUR_S)),
            Series("resources without a price", own(space, "unpriced_resources", "Maximum", HOUR_S)),
        ),
        line=float(round(budget.most_per_hour_usd, 4)),
    )
    if not watched.hosts:
        yield Widget(
            title="Copies that say they run",
            series=(Series("processes", own(space, "processes", "Sum")),),
        )


def _asked(front: Front) -> dict[str, Metric]:
    found = {"requests": front.requests, "failed": front.failed}
    return found if front.rejected is None else {**found, "rejected": front.rejected}
