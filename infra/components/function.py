"""The service as a Lambda function: published versions behind the alias `live`, which is all that is ever invoked.

The same image as everywhere, with the Lambda Web Adapter in it; or a zip, which starts from snapshots (SnapStart).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.components.permissions import Statement, allow, role, trusted_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.components.account import Site
    from infra.config.platforms import Lambda
    from infra.config.workload import Schedule

ALIAS = "live"
RUNTIME = "python3.12"
START_SCRIPT = "run.sh"  # in the zip; the adapter's wrapper runs it
# AWS's own layer with the adapter (awslabs: zip-packages)
ADAPTER_LAYERS = {"x86_64": "LambdaAdapterLayerX86", "arm64": "LambdaAdapterLayerArm64"}
ADAPTER_ACCOUNT, ADAPTER_VERSION = "753240598075", 30  # adapter 1.1.0, the first with hooks for snapshots
INTERFACES = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]


@dataclass(frozen=True)
class Image:
    """A container image with the adapter in it."""

    uri: str

    def spelled(self, region: str, architecture: str) -> dict[str, Any]:  # noqa: ARG002 - as `Archive` is asked
        """As the provider takes it."""
        return {"package_type": "Image", "image_uri": self.uri}


@dataclass(frozen=True)
class Archive:
    """A zip in a bucket; `key` changes with its content."""

    bucket: pulumi.Input[str]
    key: pulumi.Input[str]

    def spelled(self, region: str, architecture: str) -> dict[str, Any]:
        """As the provider takes it."""
        layer = f"{ADAPTER_LAYERS[architecture]}:{ADAPTER_VERSION}"
        return {
            "package_type": "Zip",
            "s3_bucket": self.bucket,
            "s3_key": self.key,
            "runtime": RUNTIME,
            "handler": START_SCRIPT,
            "layers": [f"arn:aws:lambda:{region}:{ADAPTER_ACCOUNT}:layer:{layer}"],
            "snap_start": {"apply_on": "PublishedVersions"},
        }


@dataclass(frozen=True)
class Place:
    """Where a function runs that reaches something private."""

    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]


@dataclass(frozen=True)
class FunctionArgs:
    """What the function is built from.

    Attributes:
        code: what runs.
        config: the stack config's section.
        architecture: x86_64 or arm64.
        environment: names and values.
        secrets: ARNs of the secrets that it reads.
        key_arn: encrypts them, the environment and the code.
        log_group: its name.
        log_group_arn: its ARN.
        runtime: what else the service may do.
        place: None leaves it in Lambda's own network.
        schedule: when its warm instances sleep.
        after: what it needs when it starts, beside what it is declared with.
    """

    code: Image | Archive
    config: Lambda
    architecture: str
    environment: Mapping[str, pulumi.Input[str]]
    secrets: Sequence[pulumi.Input[str]]
    key_arn: pulumi.Input[str]
    log_group: pulumi.Input[str]
    log_group_arn: pulumi.Input[str]
    runtime: Sequence[Statement]
    place: Place | None
    schedule: Schedule | None
    after: Sequence[pulumi.Resource]


class Function(pulumi.ComponentResource):
    """`revision` is the ARN of the version that was asked for, `alias_arn` what answers."""

    name: pulumi.Output[str]
    revision: pulumi.Output[str]
    alias: pulumi.Output[str]
    alias_arn: pulumi.Output[str]

    def __init__(self, name: str, site: Site, args: FunctionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:Function", name, None, opts)
        self._name, self._site, self._args = name, site, args
        self._child = pulumi.ResourceOptions(parent=self)
        function = self._function()
        self.name, self.revision = function.name, function.qualified_arn
        alias = self._alias(function)
        self.alias, self.alias_arn = alias.name, alias.arn
        if args.config.provisioned_concurrency:
            self._warm(function, alias)
        self.register_outputs({"revision": self.revision, "aliasArn": self.alias_arn})

    def _role(self) -> aws.iam.Role:
        args = self._args
        return role(
            f"{self._name}-function",
            description="What the service itself may do",
            trust=trusted_by(self._site, "lambda.amazonaws.com"),
            statements=[
                allow(["logs:CreateLogStream", "logs:PutLogEvents"], [pulumi.Output.concat(args.log_group_arn, ":*")]),
                allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]),  # have no resource to name
                *([allow(["secretsmanager:GetSecretValue"], args.secrets)] if args.secrets else []),
                allow(["kms:Decrypt"], [args.key_arn]),
                *([allow(INTERFACES, ["*"])] if args.place else []),  # Lambda asks for them before they exist
                *args.runtime,
            ],
            parent=self,
        )

    def _function(self) -> aws.lambda_.Function:
        args, config = self._args, self._args.config
        place = args.place
        return aws.lambda_.Function(
            f"{self._name}-function",
            description=f"The service of the stack {self._site.stack}",
            role=self._role().arn,
            **args.code.spelled(self._site.region, args.architecture),
            architectures=[args.architecture],
            memory_size=config.memory_mib,
            timeout=config.timeout_seconds,
            ephemeral_storage={"size": config.ephemeral_mib},
            reserved_concurrent_executions=config.reserved_concurrency,
            publish=True,
            environment={"variables": dict(args.environment)},
            kms_key_arn=args.key_arn,
            tracing_config={"mode": "Active"},
            logging_config={
                "log_format": "JSON",  # the service writes JSON lines itself; Lambda's own lines become such
                "log_group": args.log_group,
                "system_log_level": "INFO",
            },
            vpc_config={"subnet_ids": place.subnet_ids, "security_group_ids": [place.security_group_id]}
            if place
            else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )

    def _alias(self, function: aws.lambda_.Function) -> aws.lambda_.Alias:
        """With a rollout CodeDeploy moves it, `opsctl deploy` starts that, and the program leaves it where it is."""
        gradual = self._args.config.rollout != "all-at-once"
        return aws.lambda_.Alias(
            f"{self._name}-{ALIAS}",
            name=ALIAS,
            function_name=function.name,
            function_version=function.version,
            opts=pulumi.ResourceOptions(
                parent=self, ignore_changes=["functionVersion", "routingConfig"] if gradual else []
            ),
        )

    def _warm(self, function: aws.lambda_.Function, alias: aws.lambda_.Alias) -> None:
        """Instances that are kept started, and the hours in which they are not."""
        args = self._args
        count = args.config.provisioned_concurrency
        kept = aws.lambda_.ProvisionedConcurrencyConfig(
            f"{self._name}-warm",
            function_name=function.name,
            qualifier=alias.name,
            provisioned_concurrent_executions=count,
            opts=pulumi.ResourceOptions(
                parent=self, ignore_changes=["provisionedConcurrentExecutions"] if args.schedule else []
            ),
        )
        if args.schedule is None:
            return
        target = aws.appautoscaling.Target(
            f"{self._name}-warm",
            service_namespace="lambda",
            scalable_dimension="lambda:function:ProvisionedConcurrency",
            resource_id=pulumi.Output.concat("function:", function.name, ":", alias.name),
            min_capacity=count,
            max_capacity=count,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[kept]),
        )
        asleep = min(args.schedule.min, count)
        for what, cron, number in (("down", args.schedule.down, asleep), ("up", args.schedule.up, count)):
            aws.appautoscaling.ScheduledAction(
                f"{self._name}-{what}",
                service_namespace=target.service_namespace,
                scalable_dimension=target.scalable_dimension,
                resource_id=target.resource_id,
                schedule=f"cron({cron})",
                timezone=args.schedule.timezone,
                scalable_target_action={"min_capacity": number, "max_capacity": number},
                opts=pulumi.ResourceOptions(parent=self, depends_on=[target]),
            )
