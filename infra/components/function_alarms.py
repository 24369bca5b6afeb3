"""Alarms on a function and its API: the guide's thresholds, and the ones on which a rollout goes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.components.alerts import Alerts
    from infra.config.workload import Monitoring

PERIOD_S = 60
API, FUNCTION = "AWS/ApiGateway", "AWS/Lambda"
NEAR = 0.8  # of the reserved concurrency: the rest is for the next minutes


@dataclass(frozen=True)
class FunctionAlarmArgs:
    """What is watched, and who is told.

    Attributes:
        api: name of the REST API.
        stage: its stage.
        function: name of the function.
        alias: its alias.
        reserved: most functions at once; None where there is no limit.
        alerts: the topics.
        config: the thresholds.
    """

    api: pulumi.Output[str]
    stage: str
    function: pulumi.Output[str]
    alias: pulumi.Output[str]
    reserved: int | None
    alerts: Alerts
    config: Monitoring


class FunctionAlarms(pulumi.ComponentResource):
    """5xx share, p95, failed and refused invocations, concurrency. `names` are the ones that take a rollout back."""

    names: list[pulumi.Output[str]]

    def __init__(self, name: str, args: FunctionAlarmArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:FunctionAlarms", name, None, opts)
        self._name, self._args = name, args
        config, pager, notices = args.config, args.alerts.pager, args.alerts.notices
        self.names = [
            self._alarm(
                "errors",
                f"More than {config.error_rate_percent} % of the answers are 5xx",
                pager,
                threshold=config.error_rate_percent,
                metric_queries=self._error_rate(),
            ),
            self._alarm(
                "latency",
                f"p95 of the function's answers is above {config.p95_seconds:g} s",
                notices,
                threshold=config.p95_seconds * 1000,
                extended_statistic="p95",
                **self._of_api("IntegrationLatency"),
            ),
            self._alarm(
                "failures",
                "Invocations fail: the function ends, or runs out of time or memory",
                pager,
                threshold=0,
                statistic="Sum",
                **self._of_function("Errors"),
            ),
        ]
        self._alarm(
            "throttles",
            "Lambda refuses invocations: more at once than lambda.reservedConcurrency, or than the account has",
            pager,
            threshold=0,
            statistic="Sum",
            **self._of_function("Throttles", alias=False),  # they are counted before an alias is looked up
        )
        if args.reserved is not None:
            self._alarm(
                "concurrency",
                f"More than {NEAR:.0%} of lambda.reservedConcurrency {args.reserved} run at once",
                notices,
                threshold=NEAR * args.reserved,
                statistic="Maximum",
                **self._of_function("ConcurrentExecutions", alias=False),
            )
        self.register_outputs({"names": self.names})

    def _alarm(
        self,
        what: str,
        description: str,
        topic: pulumi.Input[str],
        *,
        threshold: float,
        **metric: Any,  # noqa: ANN401 - the provider's own arguments
    ) -> pulumi.Output[str]:
        alarm = aws.cloudwatch.MetricAlarm(
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
        name: pulumi.Output[str] = alarm.name
        return name

    def _stage(self) -> dict[str, pulumi.Input[str]]:
        return {"ApiName": self._args.api, "Stage": self._args.stage}

    def _of_api(self, metric: str) -> dict[str, Any]:
        return {"namespace": API, "metric_name": metric, "period": PERIOD_S, "dimensions": self._stage()}

    def _of_function(self, metric: str, *, alias: bool = True) -> dict[str, Any]:
        args = self._args
        dimensions: dict[str, pulumi.Input[str]] = {"FunctionName": args.function}
        if alias:
            dimensions["Resource"] = pulumi.Output.concat(args.function, ":", args.alias)
        return {"namespace": FUNCTION, "metric_name": metric, "period": PERIOD_S, "dimensions": dimensions}

    def _error_rate(self) -> list[dict[str, Any]]:
        """5xx of the function and of the gateway itself, as percent of all requests."""
        queries: list[dict[str, Any]] = [
            {
                "id": name,
                "metric": {
                    "namespace": API,
                    "metric_name": metric,
                    "stat": "Sum",
                    "period": PERIOD_S,
                    "dimensions": self._stage(),
                },
            }
            for name, metric in (("requests", "Count"), ("failed", "5XXError"))
        ]
        rate = "100*FILL(failed,0)/requests"
        return [*queries, {"id": "rate", "expression": rate, "label": "5xx in percent", "return_data": True}]
