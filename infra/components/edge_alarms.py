"""Alarms on what edges push: no sign of life, and too many answers from the cloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra.components.observability.alarm import Alarm
from infra.components.observability.declared import Told, declare
from infra.components.observability.metrics import Math, heartbeat, of_edges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.alerts import Alerts
    from infra.config.edge_cloud import EdgeAlarms as Config

PERIOD_S = 300
FALLBACK_PERIODS = 3


@dataclass(frozen=True)
class EdgeAlarmArgs:
    """What is watched, and who is told; hosts as in the dimension `Host`."""

    namespace: str
    hosts: Sequence[str]
    config: Config
    alerts: Alerts
    runbook: str


class EdgeAlarms(pulumi.ComponentResource):
    """An edge that is offline for days is at work all the same, so nobody is woken: both go to the notices."""

    def __init__(self, name: str, args: EdgeAlarmArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:EdgeAlarms", name, None, opts)
        declare(name, edge_alarms(args.namespace, args.hosts, args.config), Told(args.alerts, args.runbook), self)
        self.register_outputs({})


def edge_alarms(namespace: str, hosts: Sequence[str], config: Config) -> tuple[Alarm, ...]:
    """A heartbeat for each host, and the share of the cloud for all of them."""
    periods = -(-config.silent_minutes * 60 // PERIOD_S)
    silent = [
        Alarm(
            name=f"heartbeat-{host}",
            entry="edge-silent",
            severity="notices",
            says=f"The edge {host} has not been heard of for {config.silent_minutes} minutes",
            of=heartbeat(namespace, host, PERIOD_S),
            threshold=1,
            comparison="<",
            periods=periods,
            datapoints=periods,
            missing="breaching",
        )
        for host in hosts
    ]
    answers, cloud = (of_edges(namespace, name, PERIOD_S) for name in ("answers", "cloud_answers"))
    share = Alarm(
        name="fallback",
        severity="notices",
        says=f"More than {config.fallback_percent} % of the edges' answers come from the cloud",
        of=Math("100*cloud_answers/answers", {"answers": answers, "cloud_answers": cloud}, "cloud"),
        threshold=config.fallback_percent,
        periods=FALLBACK_PERIODS,
        datapoints=FALLBACK_PERIODS,
    )
    return (*silent, share)
