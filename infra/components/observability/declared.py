"""Spells alarms as resources: the ones a deployment is taken back on, and the standing ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pulumi
import pulumi_aws as aws

from infra.components.observability.alarm import COMPARISONS, Alarm, Composite, described
from infra.components.observability.alarms import deployment_alarms, standing_alarms
from infra.components.observability.cloudwatch_dashboard import body
from infra.components.observability.metrics import Metric
from infra.components.observability.queries import QUERIES
from infra.components.observability.widgets import edge_widgets, platform_widgets, service_widgets, stack_widgets
from infra.components.own_functions.canary import Canary, CanaryArgs
from infra.components.own_functions.cost_rate import CostRate, CostRateArgs
from infra.components.own_functions.healing import Healing, HealingArgs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site
    from infra.components.alerts import Alerts
    from infra.components.model_access import ModelAccess
    from infra.components.observability.watched import Front, Watched
    from infra.config import StackConfig
    from infra.config.workload import Monitoring


@dataclass(frozen=True)
class Told:
    """Who hears of an alarm, and where it says what to do."""

    alerts: Alerts
    runbook: str

    def topic(self, alarm: Alarm | Composite) -> list[pulumi.Input[str]]:
        """The topic of its severity; a part of another alarm tells nobody."""
        topics = {"pager": [self.alerts.pager], "notices": [self.alerts.notices]}
        return list(topics.get(alarm.severity, []))


class ServiceAlarms(pulumi.ComponentResource):
    """5xx share, p95 latency, unhealthy copies. `names` are the ones that roll a deployment back."""

    names: list[pulumi.Output[str]]
    arns: list[pulumi.Output[str]]

    def __init__(
        self, name: str, front: Front, alerts: Alerts, config: Monitoring, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:ServiceAlarms", name, None, opts)
        made = declare(name, deployment_alarms(front, config), Told(alerts, config.runbook_url), self)
        self.names = [alarm.name for alarm in made.values()]
        self.arns = [alarm.arn for alarm in made.values()]
        self.register_outputs({"names": self.names})


class Surroundings(Protocol):
    """What a topology has besides its service: `Foundation` is one."""

    site: Site
    alerts: Alerts
    key_arn: pulumi.Output[str]
    model: ModelAccess | None


class Observability(pulumi.ComponentResource):
    """Everything else that watches a stack; declared once its workload is."""

    def __init__(
        self,
        name: str,
        cfg: StackConfig,
        base: Surroundings,
        watched: Watched,
        before: Sequence[pulumi.Output[str]] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rag-platform:component:Observability", name, None, opts)
        config, child = cfg.monitoring, pulumi.ResourceOptions(parent=self)
        made = declare(name, standing_alarms(watched, config, cfg.budget), Told(base.alerts, config.runbook_url), self)
        self.dashboard_url = self._dashboard(name, cfg, watched, [*before, *(alarm.arn for alarm in made.values())])
        if watched.serves:
            self._functions(name, cfg, base, watched)
        if watched.serves and watched.endpoint and base.model is not None and config.self_healing:
            args = HealingArgs(
                endpoint=watched.endpoint,
                alarm=f"{name}-endpoint-down",
                model=base.model,
                pager=base.alerts.pager,
                key_arn=base.key_arn,
                log_days=config.log_retention_days,
            )
            Healing(name, base.site, args, opts=child)
        self.register_outputs({"dashboardUrl": self.dashboard_url})

    def _functions(self, name: str, cfg: StackConfig, base: Surroundings, watched: Watched) -> None:
        """The canary, where callers from outside may ask, and the price of the hour."""
        config, child = cfg.monitoring, pulumi.ResourceOptions(parent=self)
        days = config.log_retention_days
        rate = CostRateArgs(namespace=watched.namespace, endpoint=watched.endpoint, key_arn=base.key_arn, log_days=days)
        CostRate(name, base.site, rate, opts=child)
        if watched.url is not None and config.canary_minutes:
            asks = CanaryArgs(
                url=watched.url,
                watched=watched,
                minutes=config.canary_minutes,
                key_arn=base.key_arn,
                log_days=days,
            )
            Canary(name, base.site, asks, opts=child)

    def _dashboard(
        self, name: str, cfg: StackConfig, watched: Watched, alarms: Sequence[pulumi.Output[str]]
    ) -> pulumi.Output[str]:
        """One page for the stack, and the questions that are asked of its log again and again."""
        child = pulumi.ResourceOptions(parent=self)
        config = cfg.monitoring
        answers = (config.p95_seconds, config.error_rate_percent)
        shown = (
            *(
                edge_widgets(watched.namespace, watched.hosts, *answers)
                if watched.hosts
                else service_widgets(watched.namespace, *answers)
            ),
            *stack_widgets(watched, config, cfg.budget),
            *platform_widgets(watched),
        )
        page = body(shown, str(cfg.region), alarms=alarms, log_group=watched.log_group)
        made = aws.cloudwatch.Dashboard(
            f"{name}-dashboard", dashboard_name=name, dashboard_body=pulumi.Output.json_dumps(page), opts=child
        )
        if watched.log_group is not None:
            for question, query in QUERIES.items():
                aws.cloudwatch.QueryDefinition(
                    f"{name}-{question}",
                    name=f"{name}/{question}",
                    log_group_names=[watched.log_group],
                    query_string=query,
                    opts=child,
                )
        home = f"https://{cfg.region}.console.aws.amazon.com/cloudwatch/home?region={cfg.region}"
        return pulumi.Output.concat(home, "#dashboards/dashboard/", made.dashboard_name)


def declare(
    name: str, alarms: Sequence[Alarm | Composite], told: Told, parent: pulumi.Resource
) -> dict[str, aws.cloudwatch.MetricAlarm]:
    """The alarms as resources, the plain ones by name; a composite comes after its parts."""
    made: dict[str, aws.cloudwatch.MetricAlarm] = {}
    for alarm in alarms:
        if isinstance(alarm, Composite):
            after = [made[part] for part in alarm.parts]
            aws.cloudwatch.CompositeAlarm(
                f"{name}-{alarm.name}",
                alarm_name=f"{name}-{alarm.name}",
                alarm_rule=_rule(name, alarm),
                opts=pulumi.ResourceOptions(parent=parent, depends_on=after),
                **_told(alarm, told),
            )
            continue
        made[alarm.name] = aws.cloudwatch.MetricAlarm(
            f"{name}-{alarm.name}",
            # a part is named by the rule of its composite, which a preview can then read
            name=f"{name}-{alarm.name}" if alarm.severity == "part" else None,
            comparison_operator=COMPARISONS[alarm.comparison],
            threshold=alarm.threshold,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.datapoints,
            treat_missing_data=alarm.missing,
            opts=pulumi.ResourceOptions(parent=parent),
            **_told(alarm, told),
            **_source(alarm),
        )
    return made


def _rule(name: str, alarm: Composite) -> str:
    word = " OR " if alarm.when == "any" else " AND "
    return word.join(f'ALARM("{name}-{part}")' for part in alarm.parts)


def _told(alarm: Alarm | Composite, told: Told) -> dict[str, Any]:
    topics = told.topic(alarm) or None
    return {"alarm_description": described(alarm, told.runbook), "alarm_actions": topics, "ok_actions": topics}


def _source(alarm: Alarm) -> dict[str, Any]:
    of = alarm.of
    if isinstance(of, Metric):
        percentile = of.stat not in {"Sum", "Average", "Minimum", "Maximum", "SampleCount"}
        return {
            "namespace": of.namespace,
            "metric_name": of.name,
            "dimensions": dict(of.dimensions),
            "period": of.period_s,
            "extended_statistic" if percentile else "statistic": of.stat,
        }
    queries: list[dict[str, Any]] = [
        {
            "id": key,
            "metric": {
                "namespace": metric.namespace,
                "metric_name": metric.name,
                "stat": metric.stat,
                "period": metric.period_s,
                "dimensions": dict(metric.dimensions),
            },
        }
        for key, metric in of.of.items()
    ]
    return {
        "metric_queries": [
            *queries,
            {"id": "result", "expression": of.expression, "label": of.label, "return_data": True},
        ]
    }
