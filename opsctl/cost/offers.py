"""Where each price of the catalog stands in the AWS price list, and which usage type of a bill belongs to it.

One table for both directions: `prices refresh` looks a key up, and a bill's usage types find their way back to keys.
AWS's filters match attributes exactly and know no patterns, so the usage type is matched here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = r"(?:[A-Z]{2,4}\d?-)?"  # EUN1-, USE1-, or none, by service and region

EC2 = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "capacitystatus": "Used",
    "preInstalledSw": "NA",
    "licenseModel": "No License required",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A price list's product.

    Attributes:
        service: AWS's service code.
        usage_type: pattern of the whole usage type after the region's prefix.
        filters: attributes that must be equal; `regionCode` is added.
    """

    service: str
    usage_type: str
    filters: Mapping[str, str] = field(default_factory=dict)

    def covers(self, usage_type: str) -> bool:
        """Whether a usage type, as price lists and bills spell it, is this product's."""
        return re.fullmatch(f"{PREFIX}{self.usage_type}", usage_type) is not None


OFFERS: Mapping[str, Offer] = {
    "fargate.x86.vcpu_hour": Offer("AmazonECS", "Fargate-vCPU-Hours:perCPU"),
    "fargate.x86.gb_hour": Offer("AmazonECS", "Fargate-GB-Hours"),
    "fargate.arm.vcpu_hour": Offer("AmazonECS", "Fargate-ARM-vCPU-Hours:perCPU"),
    "fargate.arm.gb_hour": Offer("AmazonECS", "Fargate-ARM-GB-Hours"),
    "fargate.storage_gb_hour": Offer("AmazonECS", "Fargate-EphemeralStorage-GB-Hours"),
    "ebs.gp3.gb_month": Offer("AmazonEC2", r"EBS:VolumeUsage\.gp3", {"volumeApiName": "gp3"}),
    "ebs.snapshot.gb_month": Offer("AmazonEC2", "EBS:SnapshotUsage"),
    "alb.hour": Offer("AWSELB", "LoadBalancerUsage", {"productFamily": "Load Balancer-Application"}),
    "alb.lcu_hour": Offer("AWSELB", "LCUUsage", {"productFamily": "Load Balancer-Application"}),
    "nlb.hour": Offer("AWSELB", "LoadBalancerUsage", {"productFamily": "Load Balancer-Network"}),
    "nat.hour": Offer("AmazonEC2", "NatGateway-Hours", {"productFamily": "NAT Gateway"}),
    "nat.gb": Offer("AmazonEC2", "NatGateway-Bytes", {"productFamily": "NAT Gateway"}),
    "ipv4.hour": Offer("AmazonVPC", "PublicIPv4:InUseAddress"),
    "vpc_endpoint.hour": Offer("AmazonVPC", "VpcEndpoint-Hours"),
    "vpc_endpoint.gb": Offer("AmazonVPC", "VpcEndpoint-Bytes"),
    "egress.internet.gb": Offer("AWSDataTransfer", "DataTransfer-Out-Bytes", {"transferType": "AWS Outbound"}),
    "eks.cluster_hour": Offer("AmazonEKS", "AmazonEKS-Hours:perCluster"),
    "sagemaker.data.gb": Offer("AmazonSageMaker", "Host:Data-Bytes-(?:In|Out)"),
    "lambda.request": Offer("AWSLambda", "Request", {"group": "AWS-Lambda-Requests"}),
    "lambda.x86.gb_second": Offer("AWSLambda", "Lambda-GB-Second", {"group": "AWS-Lambda-Duration"}),
    "lambda.arm.gb_second": Offer("AWSLambda", "Lambda-GB-Second-ARM", {"group": "AWS-Lambda-Duration-ARM"}),
    "lambda.x86.warm_gb_second": Offer("AWSLambda", "Lambda-Provisioned-GB-Second"),
    "lambda.arm.warm_gb_second": Offer("AWSLambda", "Lambda-Provisioned-GB-Second-ARM"),
    "lambda.x86.kept_gb_second": Offer("AWSLambda", "Lambda-Provisioned-Concurrency"),
    "lambda.arm.kept_gb_second": Offer("AWSLambda", "Lambda-Provisioned-Concurrency-ARM"),
    "lambda.snapshot.gb_second": Offer("AWSLambda", "Lambda-SnapStart-Cached-GB-S"),
    "lambda.snapshot.restored_gb": Offer("AWSLambda", "Lambda-SnapStart-Restored-GB"),
    "lambda.tmp.gb_second": Offer("AWSLambda", "Lambda-Storage-GB-Second"),
    "api.http.request": Offer("AmazonApiGateway", "ApiGatewayHttpRequest"),
    "api.rest.request": Offer("AmazonApiGateway", "ApiGatewayRequest"),
    "cloudwatch.logs.ingest_gb": Offer("AmazonCloudWatch", "DataProcessing-Bytes", {"productFamily": "Data Payload"}),
    "cloudwatch.logs.archive_gb_month": Offer("AmazonCloudWatch", "TimedStorage-ByteHrs"),
    "cloudwatch.alarm_month": Offer("AmazonCloudWatch", "CW:AlarmMonitorUsage", {"productFamily": "Alarm"}),
    "cloudwatch.dashboard_month": Offer("AmazonCloudWatch", "DashboardsUsageHour"),
    "secrets.secret_month": Offer("AWSSecretsManager", "AWSSecretsManager-Secrets", {"productFamily": "Secret"}),
    "kms.key_month": Offer("awskms", "KMS-Keys", {"productFamily": "Encryption Key"}),
    "waf.acl_month": Offer("awswaf", "WebACLV2"),
    "waf.rule_month": Offer("awswaf", "RuleV2"),
    "waf.request": Offer("awswaf", "RequestV2-Tier1"),
    "ecr.gb_month": Offer("AmazonECR", "TimedStorage-ByteHrs"),
    "s3.standard.gb_month": Offer("AmazonS3", "TimedStorage-ByteHrs", {"volumeType": "Standard"}),
    "s3.put": Offer("AmazonS3", "Requests-Tier1"),
    "s3.get": Offer("AmazonS3", "Requests-Tier2"),
}
"""Keys whose product is one; those of instances are made by their type below."""

_EC2_TYPE = re.compile(r"ec2\.([a-z0-9.-]+)\.hour")
_HOSTING_TYPE = re.compile(r"sagemaker\.host\.(ml\.[a-z0-9.-]+)\.hour")
_CACHE_TYPE = re.compile(r"elasticache\.valkey\.(cache\.[a-z0-9.-]+)\.node_hour")


@cache
def offer_of(key: str) -> Offer | None:
    """The product behind a key; None where the price list has none, as for Spot and vendors."""
    if found := _EC2_TYPE.fullmatch(key):
        return Offer("AmazonEC2", f"BoxUsage:{re.escape(found[1])}", {"instanceType": found[1], **EC2})
    if found := _HOSTING_TYPE.fullmatch(key):
        attributes = {"component": "Hosting", "instanceName": found[1]}
        return Offer("AmazonSageMaker", f"Host:{re.escape(found[1])}", attributes)
    if found := _CACHE_TYPE.fullmatch(key):  # surcharges of extended support end in the same words
        attributes = {"instanceType": found[1], "cacheEngine": "Valkey"}
        return Offer("AmazonElastiCache", f"NodeUsage:{re.escape(found[1])}", attributes)
    return OFFERS.get(key)


def key_of(service: str, usage_type: str, keys: Iterable[str]) -> str | None:
    """Which of `keys` a row of a bill belongs to; None where it belongs to none of them.

    Args:
        service: AWS's service code; empty where the bill does not say.
        usage_type: as the bill spells it, region's prefix included.
        keys: of the catalog.
    """
    for key in keys:
        found = offer_of(key)
        if found is not None and found.covers(usage_type) and service in {"", found.service}:
            return key
    return None
