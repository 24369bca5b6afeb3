"""Alarms on what edges push: no sign of life, and too many answers from the cloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.alerts import Alerts
    from infra.config.edge_cloud import EdgeAlarms as Config

PERIOD_S = 300
SERVICE = "rag-platform"  # dimension `Service` of everything that the service counts
FALLBACK_PERIODS = 3


@dataclass(frozen=True)
class EdgeAlarmArgs:
    """What is watched, and who is told; hosts as in the dimension `Host`."""

    namespace: str
    hosts: Sequence[str]
    config: Config
    alerts: Alerts


class EdgeAlarms(pulumi.ComponentResource):
    """An edge that is offline for days is at work all the same, so nobody is woken: both go to the notices."""

    def __init__(self, name: str, args: EdgeAlarmArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:EdgeAlarms", name, None, opts)
        self._name, self._args = name, args
        periods = -(-args.config.silent_minutes * 60 // PERIOD_S)
        for host in args.hosts:
            self._alarm(
                f"heartbeat-{host}",
                f"The edge {host} has not been heard of for {args.config.silent_minutes} minutes",
                comparison_operator="LessThanThreshold",
                threshold=1,
                evaluation_periods=periods,
                treat_missing_data="breaching",
                namespace=args.namespace,
                metric_name="heartbeat",
                statistic="Sum",
                period=PERIOD_S,
                dimensions={"Service": SERVICE, "Host": host},
            )
        self._alarm(
            "fallback",
            f"More than {args.config.fallback_percent} % of the edges' answers come from the cloud",
            comparison_operator="GreaterThanThreshold",
            threshold=args.config.fallback_percent,
            evaluation_periods=FALLBACK_PERIODS,
            treat_missing_data="notBreaching",
            metric_queries=self._share_of_the_cloud(),
        )
        self.register_outputs({})

    def _alarm(self, what: str, description: str, **more: Any) -> None:  # noqa: ANN401 - the provider's own arguments
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{what}",
            alarm_description=description,
            alarm_actions=[self._args.alerts.notices],
            ok_actions=[self._args.alerts.notices],
            opts=pulumi.ResourceOptions(parent=self),
            **more,
        )

    def _share_of_the_cloud(self) -> list[dict[str, Any]]:
        queries: list[dict[str, Any]] = [
            {
                "id": name,
                "metric": {
                    "namespace": self._args.namespace,
                    "metric_name": name,
                    "stat": "Sum",
                    "period": PERIOD_S,
                    "dimensions": {"Service": SERVICE},
                },
            }
            for name in ("answers", "cloud_answers")
        ]
        share = {"id": "share", "expression": "100*cloud_answers/answers", "label": "cloud", "return_data": True}
        return [*queries, share]
