"""What an account may have, and what of it others have: asked for a stack's preflight."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from opsctl.aws.session import client, translated
from opsctl.preflight.facts import Name, Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.preflight.needs import Need

MISSING = {"NoSuchResourceException", "ResourceNotFoundException"}
AT_ONCE = "ConcurrentExecutions"


def share(region: str, need: Need, stack: str) -> Share:
    """The quota behind a need, and what isn't this stack's of it.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"the quota of {need.name}"):
        return Share(_limit(region, need), COUNTS[need.counts](region, stack))


def public_name(region: str, domain: str, zone: str) -> Name:
    """Whether the zone is there, and the state of the newest certificate for the name.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"the zone of {domain}"):
        found = client("route53", region).list_hosted_zones_by_name(DNSName=zone, MaxItems="10")["HostedZones"]
        public = any(each["Name"] == f"{zone}." and not each["Config"].get("PrivateZone") for each in found)
        pages = client("acm", region).get_paginator("list_certificates").paginate()
        certificates = [each for page in pages for each in page["CertificateSummaryList"]]
        states = [str(each.get("Status")) for each in certificates if each["DomainName"] == domain]
    return Name(public, "ISSUED" if "ISSUED" in states else next(iter(states), None))


def endpoint_state(region: str, name: str) -> str:
    """Status of a model endpoint; empty where there is none.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"endpoint '{name}'"):
        try:
            return str(client("sagemaker", region).describe_endpoint(EndpointName=name)["EndpointStatus"])
        except ClientError as exc:
            if "Could not find" in exc.response["Error"]["Message"] or exc.response["Error"]["Code"] in MISSING:
                return ""
            raise


def _limit(region: str, need: Need) -> float | None:
    quotas = client("service-quotas", region)
    for operation in (quotas.get_service_quota, quotas.get_aws_default_service_quota):
        try:
            return float(operation(ServiceCode=need.service, QuotaCode=need.code)["Quota"]["Value"])
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in MISSING:
                raise
    return None


def _addresses(region: str, stack: str) -> float:
    return _not_tagged(client("ec2", region).describe_addresses()["Addresses"], stack)


def _networks(region: str, stack: str) -> float:
    pages = client("ec2", region).get_paginator("describe_vpcs").paginate()
    return _not_tagged([each for page in pages for each in page["Vpcs"]], stack)


def _instance_vcpus(region: str, stack: str) -> float:
    states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    pages = client("ec2", region).get_paginator("describe_instances").paginate(Filters=states)
    hosts = [host for page in pages for group in page["Reservations"] for host in group["Instances"]]
    others = [host for host in hosts if not _is_own(host, stack)]
    return sum(_vcpus(host) for host in others)


def _functions_at_once(region: str, stack: str) -> float:
    """Concurrency that other functions keep for themselves; AWS also wants 100 for those that keep none."""
    del (
        stack
    )  # its own function's share is taken off by who has none yet; a second `up` counts it twice, on the safe side
    limits = client("lambda", region).get_account_settings()["AccountLimit"]
    return float(limits[AT_ONCE]) - float(limits["UnreservedConcurrentExecutions"]) + 100


def _used(capacity: str) -> Callable[[str, str], float | None]:
    def count(region: str, stack: str) -> float | None:
        """As CloudWatch's usage metrics have it: all stacks together, so nothing can be taken off for this one."""
        del stack
        now = dt.datetime.now(dt.UTC)
        dimensions = {"Service": "Fargate", "Type": "Resource", "Resource": "vCPU", "Class": capacity}
        points = client("cloudwatch", region).get_metric_statistics(
            Namespace="AWS/Usage",
            MetricName="ResourceCount",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - dt.timedelta(hours=1),
            EndTime=now,
            Period=300,
            Statistics=["Maximum"],
        )["Datapoints"]
        return max((float(point["Maximum"]) for point in points), default=None)

    return count


COUNTS: dict[str, Callable[[str, str], float | None]] = {
    "addresses": _addresses,
    "networks": _networks,
    "instance vcpus": _instance_vcpus,
    "functions at once": _functions_at_once,
    "fargate vcpus": _used("Standard/OnDemand"),
    "fargate spot vcpus": _used("Standard/Spot"),
}


def _vcpus(host: dict[str, Any]) -> int:
    options = host.get("CpuOptions") or {}
    return int(options.get("CoreCount", 1)) * int(options.get("ThreadsPerCore", 2))


def _not_tagged(found: list[dict[str, Any]], stack: str) -> float:
    return sum(not _is_own(each, stack) for each in found)


def _is_own(each: dict[str, Any], stack: str) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in each.get("Tags", [])}
    return tags.get("stack") == stack and tags.get("project") == "rag-platform"
