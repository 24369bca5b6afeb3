"""Alarms on what the stack promises: availability and latency over time, and what callers from outside find."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infra.components.observability.alarm import Alarm, Composite, Severity
from infra.components.observability.metrics import FIVE_MINUTES_S, HOUR_S, MINUTE_S, QUARTER_S, Math, Metric, own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.components.observability.watched import Front, Watched
    from infra.config.workload import Monitoring

FEW = 2  # failures in a minute: a single one is no rate


def error_rate(front: Front) -> Math:
    """5xx as percent of all requests; what the balancer refused before it had a target is in no count of its own."""
    of = {"requests": front.requests, "failed": front.failed}
    failed, all_of_them = "FILL(failed,0)", "FILL(requests,0)"
    if front.rejected is not None:
        of["rejected"] = front.rejected
        failed += "+FILL(rejected,0)"
        all_of_them += "+FILL(rejected,0)"
    return Math(f"IF(({failed})>={FEW},100*({failed})/({all_of_them}),0)", of, "5xx in percent")


# Google's SRE workbook, chapter 5: a page where 2 % of a month's error budget would be gone in an hour, a notice where
# 5 % would in six; the short window ends the alarm soon after the trouble does
BURNS: tuple[tuple[str, Severity, float, int, int], ...] = (
    ("fast", "pager", 14.4, HOUR_S, FIVE_MINUTES_S),
    ("slow", "notices", 6.0, 6 * HOUR_S, 2 * QUARTER_S),
)


def promise(watched: Watched, config: Monitoring) -> Iterator[Alarm | Composite]:
    """Service level objectives: availability as burn rates over two windows each, latency as a share of answers."""
    budget = 100 - config.slo_availability_percent
    for pace, severity, rate, *windows in BURNS:
        names = tuple(f"burn-{pace}-{length}" for length in ("long", "short"))
        for name, window in zip(names, windows, strict=True):
            yield Alarm(
                name=name,
                entry=f"burn-{pace}",
                severity="part",
                says=f"Errors use up the error budget {rate:g} times as fast as it lasts, over {window // 60} minutes",
                of=_failed(watched.front, window),
                threshold=round(rate * budget, 4),
                periods=1,
                datapoints=1,
            )
        yield Composite(
            name=f"burn-{pace}",
            severity=severity,
            says=f"At this pace the month's error budget of {budget:.4g} % is gone in {30 / rate:.2g} days",
            parts=names,
            when="all",
        )
    yield Alarm(
        name="slow-answers",
        severity="notices",
        says=f"Fewer than {config.slo_latency_percent} % of an hour's answers came within {config.p95_seconds:g} s",
        # the same as a share of answers, and a statistic that alarms have always known
        of=own(watched.namespace, "total_latency_ms", f"p{config.slo_latency_percent}", HOUR_S),
        threshold=config.p95_seconds * 1000,
        periods=1,
        datapoints=1,
    )


def _failed(front: Front, period_s: int) -> Math:
    rate = error_rate(front)
    return replace(rate, of={name: replace(metric, period_s=period_s) for name, metric in rate.of.items()})


def outside(watched: Watched, config: Monitoring) -> Iterator[Alarm]:
    """What the canary finds, where somebody outside may ask."""
    if watched.url is None or not config.canary_minutes:
        return
    period = config.canary_minutes * MINUTE_S
    available = own(watched.namespace, "available", "Minimum", period)
    if watched.copies is None:
        seen: Metric | Math = available
    else:  # where nobody should be there, nobody is missed
        wanted = replace(watched.copies.wanted, stat="Maximum", period_s=period)
        seen = Math("IF(FILL(wanted,1)>0,available,1)", {"available": available, "wanted": wanted}, "available")
    yield Alarm(
        name="unavailable",
        severity="pager",
        says="Asked from outside, the service does not answer as it should",
        of=seen,
        threshold=1,
        comparison="<",
    )
    yield Alarm(
        name="canary-silent",
        severity="notices",
        says="The canary has measured nothing for half an hour",
        of=own(watched.namespace, "available", "SampleCount", 2 * QUARTER_S),
        threshold=1,
        comparison="<",
        periods=1,
        datapoints=1,
        missing="breaching",
    )
