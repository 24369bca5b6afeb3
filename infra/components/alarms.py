"""Alarms on the load balancer: the guide's thresholds, and the ones on which a deployment rolls back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.components.alerts import Alerts
    from infra.config.workload import Monitoring

PERIOD_S = 60
NAMESPACE = "AWS/ApplicationELB"


@dataclass(frozen=True)
class AlarmArgs:
    """What is watched, and who is told.

    Attributes:
        load_balancer: its `arn_suffix`.
        target_group: its `arn_suffix`.
        alerts: the topics.
        config: the thresholds.
    """

    load_balancer: pulumi.Output[str]
    target_group: pulumi.Output[str]
    alerts: Alerts
    config: Monitoring


class ServiceAlarms(pulumi.ComponentResource):
    """5xx share, p95 latency, unhealthy targets. `names` are the ones that roll a deployment back."""

    names: list[pulumi.Output[str]]

    def __init__(self, name: str, args: AlarmArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:ServiceAlarms", name, None, opts)
        self._name, self._args = name, args
        config = args.config
        pager, notices = args.alerts.pager, args.alerts.notices
        errors = self._alarm(
            "errors",
            f"More than {config.error_rate_percent} % of the answers are 5xx",
            pager,
            threshold=config.error_rate_percent,
            metric_queries=self._error_rate(),
        )
        latency = self._alarm(
            "latency",
            f"p95 is above {config.p95_seconds:g} s",
            notices,
            threshold=config.p95_seconds,
            namespace=NAMESPACE,
            metric_name="TargetResponseTime",
            extended_statistic="p95",
            period=PERIOD_S,
            dimensions={"LoadBalancer": args.load_balancer},
        )
        unhealthy = self._alarm(
            "unhealthy",
            "Targets fail their health check",
            pager,
            threshold=0,
            namespace=NAMESPACE,
            metric_name="UnHealthyHostCount",
            statistic="Minimum",
            period=PERIOD_S,
            dimensions={"LoadBalancer": args.load_balancer, "TargetGroup": args.target_group},
        )
        self.names = [alarm.name for alarm in (errors, latency, unhealthy)]
        self.register_outputs({"names": self.names})

    def _alarm(
        self,
        what: str,
        description: str,
        topic: pulumi.Input[str],
        *,
        threshold: float,
        **metric: Any,  # noqa: ANN401 - the provider's own arguments
    ) -> aws.cloudwatch.MetricAlarm:
        return aws.cloudwatch.MetricAlarm(
            f"{self._name}-{what}",
            alarm_description=description,
            comparison_operator="GreaterThanThreshold",
            threshold=threshold,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            treat_missing_data="notBreaching",
            alarm_actions=[topic],
            ok_actions=[topic],
            opts=pulumi.ResourceOptions(parent=self),
            **metric,
        )

    def _error_rate(self) -> list[dict[str, Any]]:
        """5xx of targets and of the balancer itself, as percent of all requests."""
        sums = [
            ("requests", "RequestCount"),
            ("target", "HTTPCode_Target_5XX_Count"),
            ("balancer", "HTTPCode_ELB_5XX_Count"),
        ]
        queries: list[dict[str, Any]] = [
            {
                "id": name,
                "metric": {
                    "namespace": NAMESPACE,
                    "metric_name": metric,
                    "stat": "Sum",
                    "period": PERIOD_S,
                    "dimensions": {"LoadBalancer": self._args.load_balancer},
                },
            }
            for name, metric in sums
        ]
        rate = "100*(FILL(target,0)+FILL(balancer,0))/requests"
        return [*queries, {"id": "rate", "expression": rate, "label": "5xx in percent", "return_data": True}]
