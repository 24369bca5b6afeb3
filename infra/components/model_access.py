"""What the model endpoint needs and what the service may do with it; the endpoint itself belongs to opsctl."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components.bucket import BucketArgs, PrivateBucket
from infra.components.permissions import Statement, allow, role, trusted_by

if TYPE_CHECKING:
    from infra.components.account import Site

# Public repositories of the AWS deep learning containers are in AWS's accounts, hence `*` for the account only.
IMAGE_ACTIONS = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


@dataclass(frozen=True)
class ModelAccessArgs:
    """What model access is built from.

    Attributes:
        endpoint: name of the SageMaker endpoint.
        vpc_id: the network of the model's containers; None leaves them in SageMaker's own.
        key_arn: encrypts weights and volumes.
        log_bucket: takes the bucket's access log.
    """

    endpoint: str
    vpc_id: pulumi.Input[str] | None
    key_arn: pulumi.Input[str]
    log_bucket: PrivateBucket


def invoke_statements(site: Site, endpoint: str, component: str) -> list[Statement]:
    """Invoke the named endpoint and its inference component; nothing else."""
    return [
        allow(
            ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
            [
                site.arn("sagemaker", f"endpoint/{endpoint.lower()}"),
                site.arn("sagemaker", f"inference-component/{component.lower()}"),
            ],
        )
    ]


class ModelAccess(pulumi.ComponentResource):
    """Execution role, weights bucket and, in a network, security group of the endpoint."""

    role_arn: pulumi.Output[str]
    bucket: pulumi.Output[str]
    security_group_id: pulumi.Output[str] | None

    def __init__(
        self, name: str, site: Site, args: ModelAccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:ModelAccess", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        weights = PrivateBucket(
            f"{name}-weights", site, BucketArgs(key_arn=args.key_arn, log_bucket=args.log_bucket), opts=child
        )
        self.security_group_id = self._group(name, args.vpc_id) if args.vpc_id is not None else None
        execution = role(
            f"{name}-execution",
            description=f"SageMaker runs the endpoint {args.endpoint} with it",
            trust=trusted_by(site, "sagemaker.amazonaws.com"),
            statements=_execution(site, weights, args),
            parent=self,
        )
        self.role_arn, self.bucket = execution.arn, weights.bucket
        self.register_outputs({"roleArn": self.role_arn, "bucket": self.bucket})

    def _group(self, name: str, vpc_id: pulumi.Input[str]) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-model", vpc_id=vpc_id, description="Model containers: HTTPS out, nothing in", opts=child
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-model-https",
            security_group_id=group.id,
            description="HTTPS to S3, the model hub and AWS",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4="0.0.0.0/0",
            opts=child,
        )
        identity: pulumi.Output[str] = group.id
        return identity


def _execution(site: Site, weights: PrivateBucket, args: ModelAccessArgs) -> list[Statement]:
    logs = site.arn("logs", "log-group:/aws/sagemaker/*")
    return [
        allow(["s3:GetObject"], [pulumi.Output.concat(weights.arn, "/*")]),
        allow(["s3:ListBucket"], [weights.arn]),
        allow(["kms:Decrypt", "kms:DescribeKey", "kms:CreateGrant", "kms:GenerateDataKey"], [args.key_arn]),
        allow(["ecr:GetAuthorizationToken"], ["*"]),  # has no resource to name
        allow(IMAGE_ACTIONS, [f"arn:aws:ecr:{site.region}:*:repository/*"]),
        allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], [logs]),
        allow(
            ["cloudwatch:PutMetricData"], ["*"], {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "AWS/*"]}}
        ),
        *(_interfaces(site) if args.vpc_id is not None else []),
    ]


def _interfaces(site: Site) -> list[Statement]:
    """What containers in a network need."""
    make = ["ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"]
    return [
        allow(make, [site.arn("ec2", "*")]),
        allow(
            ["ec2:DescribeVpcs", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "ec2:DescribeNetworkInterfaces"],
            ["*"],  # describe calls have no resource to name
        ),
    ]
