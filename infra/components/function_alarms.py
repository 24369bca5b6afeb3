"""Alarms on a function and its API: the guide's thresholds, and the ones on which a rollout goes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra.components.observability.alarm import Alarm
from infra.components.observability.alarms import deployment_alarms
from infra.components.observability.declared import Told, declare
from infra.components.observability.metrics import Metric
from infra.components.observability.watched import rest_api

if TYPE_CHECKING:
    from infra.components.alerts import Alerts
    from infra.config.workload import Monitoring

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

    api: pulumi.Input[str]
    stage: pulumi.Input[str]
    function: pulumi.Input[str]
    alias: pulumi.Input[str]
    reserved: int | None
    alerts: Alerts
    config: Monitoring


class FunctionAlarms(pulumi.ComponentResource):
    """5xx share, p95, failed and refused invocations, concurrency. `names` are the ones that take a rollout back."""

    names: list[pulumi.Output[str]]
    arns: list[pulumi.Output[str]]

    def __init__(self, name: str, args: FunctionAlarmArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:FunctionAlarms", name, None, opts)
        alarms = function_alarms(args)
        made = declare(name, alarms, Told(args.alerts, args.config.runbook_url), self)
        self.arns = [alarm.arn for alarm in made.values()]
        self.names = [made[alarm.name].name for alarm in alarms if alarm.blocks]
        self.register_outputs({"names": self.names})


def function_alarms(args: FunctionAlarmArgs) -> tuple[Alarm, ...]:
    """Of the API, then of the function behind it."""
    alias = {"FunctionName": args.function, "Resource": pulumi.Output.concat(args.function, ":", args.alias)}
    whole = {"FunctionName": args.function}  # what is refused is counted before an alias is looked up
    alarms = [
        *deployment_alarms(rest_api(args.api, args.stage), args.config),
        Alarm(
            name="failures",
            severity="pager",
            says="Invocations fail: the function ends, or runs out of time or memory",
            of=Metric("AWS/Lambda", "Errors", alias),
            threshold=0,
            blocks=True,
        ),
        Alarm(
            name="throttles",
            severity="pager",
            says="Lambda refuses invocations: more at once than lambda.reservedConcurrency, or than the account has",
            of=Metric("AWS/Lambda", "Throttles", whole),
            threshold=0,
        ),
    ]
    if args.reserved is not None:
        alarms.append(
            Alarm(
                name="concurrency",
                severity="notices",
                says=f"More than {NEAR:.0%} of lambda.reservedConcurrency {args.reserved} run at once",
                of=Metric("AWS/Lambda", "ConcurrentExecutions", whole, "Maximum"),
                threshold=NEAR * args.reserved,
            )
        )
    return tuple(alarms)
