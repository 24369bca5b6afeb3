"""What of a stack runs now and is paid by the hour, under the names of the price catalog."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from opsctl.aws.session import client, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

TAG = "stack"
CPU_UNITS, MIB = Decimal(1024), Decimal(1024)
BALANCERS = {"app": "alb.hour", "net": "nlb.hour"}
FAMILIES = {"X86_64": "x86", "ARM64": "arm"}
HOUR_S = 3600
HOURS_PER_MONTH = Decimal(730)  # as AWS divides a month

Count = tuple[str, Decimal]


@dataclass(frozen=True, slots=True)
class Running:
    """Asks in one region for one stack's objects, by their tag."""

    region: str
    stack: str

    @classmethod
    def open(cls, region: str, stack: str) -> Self:
        """Clients are made when they are needed."""
        return cls(region, stack)

    def by_price(self, endpoint: str) -> dict[str, Decimal]:
        """Price key -> how many units of it run.

        Raises:
            CloudRefused, TimedOut
        """
        counts: defaultdict[str, Decimal] = defaultdict(Decimal)
        with translated(f"what runs of stack '{self.stack}'"):
            parts = (self._tagged(), self._hosts(), self._volumes(), self._gateways(), self._endpoint(endpoint))
            for key, amount in chain.from_iterable(parts):
                counts[key] += amount
        return {key: amount for key, amount in counts.items() if amount}

    def spent_usd(self, namespace: str) -> Decimal:
        """What the service says that the last hour's calls to models cost."""
        now = datetime.now(UTC)
        with translated(f"metrics of '{namespace}'"):
            said = self._client("cloudwatch").get_metric_statistics(
                Namespace=namespace,
                MetricName="query_cost_usd",
                Dimensions=[{"Name": "Service", "Value": "rag-platform"}],
                StartTime=now - timedelta(seconds=HOUR_S),
                EndTime=now,
                Period=HOUR_S,
                Statistics=["Sum"],
            )
        return sum((Decimal(str(each["Sum"])) for each in said["Datapoints"]), Decimal(0))

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        return client(service, self.region)

    def _filter(self) -> list[dict[str, Any]]:
        return [{"Name": f"tag:{TAG}", "Values": [self.stack]}]

    def _tagged(self) -> Iterator[Count]:
        """Balancers, clusters, services and caches, by their ARNs."""
        pages = self._client("resourcegroupstaggingapi").get_paginator("get_resources")
        kinds = ["elasticloadbalancing:loadbalancer", "eks:cluster", "ecs:service", "elasticache:replicationgroup"]
        asked = {"TagFilters": [{"Key": TAG, "Values": [self.stack]}], "ResourceTypeFilters": kinds}
        for page in pages.paginate(**asked):
            for each in page["ResourceTagMappingList"]:
                yield from self._of_arn(each["ResourceARN"])

    def _of_arn(self, arn: str) -> Iterator[Count]:
        service, name = arn.split(":")[2], arn.split(":", 5)[5]
        if service == "elasticloadbalancing":
            yield BALANCERS.get(name.split("/")[1], "balancer.hour"), Decimal(1)
        elif service == "eks":
            yield "eks.cluster_hour", Decimal(1)
        elif service == "ecs":
            yield from self._tasks(arn, name.split("/")[1])
        elif service == "elasticache":
            yield from self._cache_nodes(name.split(":")[1])

    def _cache_nodes(self, group: str) -> Iterator[Count]:
        found = self._client("elasticache").describe_replication_groups(ReplicationGroupId=group)["ReplicationGroups"]
        for each in found:
            engine, kind = each.get("Engine", "redis"), each["CacheNodeType"]
            yield f"elasticache.{engine}.{kind}.node_hour", Decimal(len(each["MemberClusters"]))

    def _tasks(self, arn: str, cluster: str) -> Iterator[Count]:
        ecs = self._client("ecs")
        for service in ecs.describe_services(cluster=cluster, services=[arn])["services"]:
            made = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
            if "FARGATE" not in made.get("requiresCompatibilities", ()):
                continue  # its instances are counted
            family = FAMILIES[made.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")]
            tasks = Decimal(service["runningCount"])
            yield f"fargate.{family}.vcpu_hour", tasks * Decimal(made["cpu"]) / CPU_UNITS
            yield f"fargate.{family}.gb_hour", tasks * Decimal(made["memory"]) / MIB

    def _hosts(self) -> Iterator[Count]:
        running = {"Name": "instance-state-name", "Values": ["running"]}
        pages = self._client("ec2").get_paginator("describe_instances")
        for page in pages.paginate(Filters=[*self._filter(), running]):
            for group in page["Reservations"]:
                for each in group["Instances"]:
                    yield f"ec2.{each['InstanceType']}.hour", Decimal(1)

    def _volumes(self) -> Iterator[Count]:
        """Those of the stores; a GB of a month is paid by the hour too."""
        pages = self._client("ec2").get_paginator("describe_volumes")
        for page in pages.paginate(Filters=self._filter()):
            for each in page["Volumes"]:
                yield f"ebs.{each['VolumeType']}.gb_month", Decimal(each["Size"]) / HOURS_PER_MONTH

    def _gateways(self) -> Iterator[Count]:
        pages = self._client("ec2").get_paginator("describe_nat_gateways")
        for page in pages.paginate(Filter=[*self._filter(), {"Name": "state", "Values": ["available"]}]):
            for _ in page["NatGateways"]:
                yield "nat.hour", Decimal(1)
                yield "ipv4.hour", Decimal(1)

    def _endpoint(self, name: str) -> Iterator[Count]:
        if not name:
            return
        sagemaker = self._client("sagemaker")
        try:
            said = sagemaker.describe_endpoint(EndpointName=name)
        except ClientError as exc:
            if "Could not find" in str(exc):  # not deployed: it costs nothing
                return
            raise
        config = sagemaker.describe_endpoint_config(EndpointConfigName=said["EndpointConfigName"])
        types = {each["VariantName"]: each.get("InstanceType", "?") for each in config["ProductionVariants"]}
        for each in said.get("ProductionVariants", ()):
            kind = types.get(each["VariantName"], "?")
            yield f"sagemaker.host.{kind}.hour", Decimal(each.get("CurrentInstanceCount", 0))
