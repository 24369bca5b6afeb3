"""Which alarms a stack has: pure, from what it is made of and from the thresholds in its config."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infra.components.observability.alarm import Alarm, Composite
from infra.components.observability.metrics import (
    DAY_S,
    FIVE_MINUTES_S,
    HOUR_S,
    QUARTER_S,
    Math,
    Metric,
    dependency,
    own,
)
from infra.components.observability.metrics import endpoint as invoked
from infra.components.observability.metrics import endpoint_host as hosted
from infra.components.observability.objectives import FEW, error_rate, outside, promise
from infra.components.observability.store_alarms import backups, disks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.components.observability.watched import Front, Watched
    from infra.config.workload import Budget, Monitoring

HALF = 50  # percent of the calls to a generator


def deployment_alarms(front: Front, config: Monitoring) -> tuple[Alarm, ...]:
    """On these a deployment is taken back; they read the front, which is there before the service is."""
    alarms = [
        Alarm(
            name="errors",
            severity="pager",
            says=f"More than {config.error_rate_percent} % of the answers are 5xx",
            of=error_rate(front),
            threshold=config.error_rate_percent,
            blocks=True,
        ),
        Alarm(
            name="latency",
            severity="notices",
            says=f"p95 is above {config.p95_seconds:g} s",
            of=front.latency,
            threshold=config.p95_seconds / front.latency_unit_s,
            blocks=True,
        ),
    ]
    if front.unhealthy is not None:
        alarms.append(
            Alarm(
                name="unhealthy",
                severity="pager",
                says="Copies of the service fail their health check",
                of=front.unhealthy,
                threshold=0,
                blocks=True,
            )
        )
    return tuple(alarms)


def standing_alarms(watched: Watched, config: Monitoring, budget: Budget) -> tuple[Alarm | Composite, ...]:
    """All others; none of them before there is a service."""
    if not watched.serves:
        return ()
    return (
        *_service(watched, config),
        *_copies(watched),
        *_generator(watched),
        *_endpoint(watched, config),
        *_certificate(watched, config),
        *backups(watched),
        *disks(watched, config),
        *promise(watched, config),
        *outside(watched, config),
        _money(watched, budget),
    )


def _service(watched: Watched, config: Monitoring) -> Iterator[Alarm]:
    space = watched.namespace
    if not watched.hosts:  # an edge is idle at night, and offline it serves all the same
        yield Alarm(
            name="no-traffic",
            severity="notices",
            says=f"Fewer than {config.min_requests_per_hour} requests in an hour",
            of=_traffic(watched, config.min_requests_per_hour),
            threshold=config.min_requests_per_hour,
            comparison="<",
            periods=1,
            datapoints=1,
            missing="breaching",
        )
    yield Alarm(
        name="saturated",
        severity="notices",
        says="Requests are refused since too many are in flight",
        of=own(space, "refused"),
        threshold=0,
        periods=5,
        datapoints=3,
    )
    yield Alarm(
        name="degraded",
        severity="notices",
        says=f"More than {config.degraded_percent} % of the answers did without a stage",
        of=_share(space, "degraded", "of the answers, in percent"),
        threshold=config.degraded_percent,
    )
    if watched.asks_openai:
        limited = {name: dependency(space, "dependency_limited", name) for name in ("query-model", "generator")}
        yield Alarm(
            name="openai-limited",
            severity="notices",
            says="OpenAI refuses calls: its rate limit or the account's balance is used up",
            of=Math(
                "FILL(asked,0)+FILL(generated,0)",
                {"asked": limited["query-model"], "generated": limited["generator"]},
                "calls that OpenAI refused",
            ),
            threshold=0,
            periods=5,
            datapoints=3,
        )


def _traffic(watched: Watched, least: int) -> Metric | Math:
    """Requests of an hour; where nobody should be there to answer, as many as are asked for."""
    requests = own(watched.namespace, "requests", period_s=HOUR_S)
    if watched.copies is None:
        return requests
    wanted = replace(watched.copies.wanted, stat="Maximum", period_s=HOUR_S)
    expression = f"IF(FILL(wanted,1)>0,FILL(requests,0),{least})"
    return Math(expression, {"requests": requests, "wanted": wanted}, "requests in an hour")


def _share(space: str, part: str, label: str) -> Math:
    of = {"requests": own(space, "requests", period_s=FIVE_MINUTES_S)}
    of["part"] = own(space, part, period_s=FIVE_MINUTES_S)  # type: ignore[arg-type]
    return Math(f"IF(part>={FEW},100*part/requests,0)", of, label)


def _copies(watched: Watched) -> Iterator[Alarm]:
    if watched.copies is None:
        return
    running, wanted = watched.copies.running, watched.copies.wanted
    yield Alarm(
        name="copies-missing",
        severity="notices",
        says="Fewer copies run than should, for a quarter of an hour",
        of=Math("wanted-running", {"wanted": wanted, "running": running}, "copies that are missing"),
        threshold=0,
        periods=15,
        datapoints=15,
    )
    yield Alarm(
        name="copies-at-most",
        severity="notices",
        says=f"All {watched.copies.most} copies run that scaling may start, for half an hour",
        of=running,
        threshold=watched.copies.most,
        comparison=">=",
        periods=30,
        datapoints=30,
    )


def _generator(watched: Watched) -> Iterator[Alarm | Composite]:
    if watched.generator == "none":
        return
    own_calls = {
        what: dependency(watched.namespace, f"dependency_{what}", "generator")  # type: ignore[arg-type]
        for what in ("calls", "failures")
    }
    expression = f"IF(failures>={FEW},100*failures/calls,0)"
    yield Alarm(
        name="generator-failing",
        severity="part" if watched.endpoint else "pager",
        says=f"More than {HALF} % of the calls to the model fail",
        of=Math(expression, own_calls, "failed calls in percent"),
        threshold=HALF,
        periods=5,
        datapoints=3,
    )


def _endpoint(watched: Watched, config: Monitoring) -> Iterator[Alarm | Composite]:
    name = watched.endpoint
    if name is None:
        return
    of = {what: invoked(name, metric, watched.component) for what, metric in _INVOCATIONS.items()}
    yield Alarm(
        name="endpoint-failing",
        severity="part",
        says=f"More than {HALF} % of the invocations of the model endpoint end as 5xx",
        of=Math(f"IF(failures>={FEW},100*failures/calls,0)", of, "failed invocations in percent"),
        threshold=HALF,
        periods=5,
        datapoints=3,
    )
    yield Composite(
        name="endpoint-down",
        severity="pager",
        says="The model endpoint is down: its calls fail, as the service or as SageMaker sees them",
        parts=("endpoint-failing",) if watched.generator == "none" else ("generator-failing", "endpoint-failing"),
        when="any",
    )
    if watched.component is not None:  # scales to zero by itself
        return
    period = config.idle_hours * HOUR_S
    idle = {
        "calls": invoked(name, "Invocations", None, period_s=period),
        "instances": hosted(name, "CPUUtilization", "SampleCount", period),
    }
    yield Alarm(
        name="endpoint-idle",
        severity="notices",
        says=f"The model endpoint runs, and nobody has called it for {config.idle_hours} hours",
        of=Math("IF(instances>0 AND FILL(calls,0)<1,1,0)", idle, "1 while it is idle"),
        threshold=0,
        periods=1,
        datapoints=1,
    )


_INVOCATIONS = {"calls": "Invocations", "failures": "Invocation5XXErrors"}


def _certificate(watched: Watched, config: Monitoring) -> Iterator[Alarm]:
    if watched.certificate_arn is None:
        return
    yield Alarm(
        name="certificate",
        severity="notices",
        says=f"The certificate ends in less than {config.certificate_days} days and was not renewed",
        of=Metric(
            "AWS/CertificateManager", "DaysToExpiry", {"CertificateArn": watched.certificate_arn}, "Minimum", DAY_S
        ),
        threshold=config.certificate_days,
        comparison="<",
        periods=1,
        datapoints=1,
        missing="ignore",
    )


def _money(watched: Watched, budget: Budget) -> Alarm:
    limit = budget.most_per_hour_usd
    return Alarm(
        name="hourly-cost",
        severity="notices",
        says=f"What runs costs more than {limit:.2f} USD an hour",
        of=own(watched.namespace, "hourly_cost_usd", "Maximum", QUARTER_S),
        threshold=float(round(limit, 4)),
    )
