"""What the stack costs now, by the hour, as a metric: the bill itself is a day behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra.components.own_functions.function import OwnFunction, OwnFunctionArgs
from infra.components.permissions import Statement, allow

if TYPE_CHECKING:
    from infra.components.account import Site

MINUTES = 15
TIMEOUT_S = 60
# These list and describe whole accounts; they have no resource to name
LISTS = (
    "cloudwatch:GetMetricStatistics",
    "ec2:DescribeInstances",
    "ec2:DescribeNatGateways",
    "ec2:DescribeVolumes",
    "ecs:DescribeTaskDefinition",
    "tag:GetResources",
)


@dataclass(frozen=True, kw_only=True)
class CostRateArgs:
    """Whose hour it is."""

    namespace: str
    endpoint: str | None
    key_arn: pulumi.Input[str]
    log_days: int


class CostRate(pulumi.ComponentResource):
    """Its metrics are `hourly_cost_usd` and `unpriced_resources`."""

    def __init__(self, name: str, site: Site, args: CostRateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:CostRate", name, None, opts)
        function = OwnFunction(
            f"{name}-cost-rate",
            site,
            OwnFunctionArgs(
                source="cost_rate",
                says="Prices what runs, by the hour",
                environment={
                    "RAG_STACK": site.stack,
                    "RAG_NAMESPACE": args.namespace,
                    "RAG_ENDPOINT": args.endpoint or "",
                },
                may=_may(site, args.endpoint),
                key_arn=args.key_arn,
                log_days=args.log_days,
                timeout_s=TIMEOUT_S,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        function.every(MINUTES)
        self.register_outputs({})


def _may(site: Site, endpoint: str | None) -> list[Statement]:
    may = [
        allow(LISTS, ["*"]),
        allow(["ecs:DescribeServices"], [site.arn("ecs", f"service/*{site.stack}*")]),
        allow(["elasticache:DescribeReplicationGroups"], [site.arn("elasticache", f"replicationgroup:*{site.stack}*")]),
    ]
    if endpoint:
        name = endpoint.lower()
        parts = [site.arn("sagemaker", f"endpoint/{name}"), site.arn("sagemaker", f"endpoint-config/{name}-*")]
        may.append(allow(["sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig"], parts))
    return may
