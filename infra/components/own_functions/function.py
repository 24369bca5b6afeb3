"""A function of the stack's own, and what calls it: events by their pattern, or a schedule."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.components.own_functions.archive import archive
from infra.components.permissions import Statement, allow, role, trusted_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.components.account import Site

RUNTIME = "python3.12"


@dataclass(frozen=True, kw_only=True)
class OwnFunctionArgs:
    """What a function is built from.

    Attributes:
        source: folder below `opsctl/functions`.
        says: what it is for.
        environment: name -> value, never a secret.
        may: what it may do besides writing its log.
        key_arn: encrypts its environment and log.
        log_days: how long its log is kept.
        failed: topic that hears of an invocation that failed; None tells nobody.
        layers: ARNs of what is compiled for Lambda.
    """

    source: str
    says: str
    environment: Mapping[str, pulumi.Input[str]]
    may: Sequence[Statement]
    key_arn: pulumi.Input[str]
    log_days: int
    timeout_s: int
    memory_mib: int = 256
    failed: pulumi.Input[str] | None = None
    layers: Sequence[str] = ()
    after: Sequence[pulumi.Resource] = field(default_factory=tuple)


class OwnFunction(pulumi.ComponentResource):
    """`on_event` and `every` say when it runs; an invocation that fails is not tried again, but told."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self, name: str, site: Site, args: OwnFunctionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:OwnFunction", name, None, opts)
        self._name, self._site, self._args = name, site, args
        self._child = pulumi.ResourceOptions(parent=self)
        log = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=f"/rag/{site.stack}/functions/{args.source}",
            retention_in_days=args.log_days,
            kms_key_id=args.key_arn,
            opts=self._child,
        )
        code = {path: pulumi.FileAsset(str(file)) for path, file in archive(args.source).items()}
        made = aws.lambda_.Function(
            name,
            description=args.says,
            role=self._role(log).arn,
            runtime=RUNTIME,
            handler=f"opsctl.functions.{args.source}.handler.handler",
            code=pulumi.AssetArchive(code),  # type: ignore[arg-type]
            architectures=["arm64"],
            layers=list(args.layers) or None,
            timeout=args.timeout_s,
            memory_size=args.memory_mib,
            environment={"variables": dict(args.environment)},
            kms_key_arn=args.key_arn,
            tracing_config={"mode": "Active"},
            logging_config={"log_format": "Text", "log_group": log.name},
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        self.name, self.arn = made.name, made.arn
        aws.lambda_.FunctionEventInvokeConfig(
            f"{name}-once",
            function_name=made.name,
            maximum_retry_attempts=0,
            destination_config={"on_failure": {"destination": args.failed}} if args.failed is not None else None,
            opts=self._child,
        )
        self.register_outputs({"arn": self.arn})

    def on_event(self, what: str, pattern: Mapping[str, Any]) -> None:
        """Run it for every event that the pattern takes in."""
        self._called_by(what, event_pattern=pulumi.Output.json_dumps(pattern))

    def every(self, minutes: int, event: Mapping[str, Any] | None = None) -> None:
        """Run it by the clock."""
        unit = "minute" if minutes == 1 else "minutes"
        self._called_by("clock", schedule_expression=f"rate({minutes} {unit})", event=event)

    def _called_by(self, what: str, *, event: Mapping[str, Any] | None = None, **when: pulumi.Input[str]) -> None:
        name = f"{self._name}-{what}"
        rule = aws.cloudwatch.EventRule(name, description=f"Calls {self._name}", opts=self._child, **when)
        allowed = aws.lambda_.Permission(
            name,
            action="lambda:InvokeFunction",
            function=self.name,
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            name,
            rule=rule.name,
            arn=self.arn,
            input=json.dumps(event) if event is not None else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )

    def _role(self, log: aws.cloudwatch.LogGroup) -> aws.iam.Role:
        args = self._args
        tell = [] if args.failed is None else publish(args.failed, args.key_arn)
        return role(
            f"{self._name}-role",
            description=args.says,
            trust=trusted_by(self._site, "lambda.amazonaws.com"),
            statements=[
                allow(["logs:CreateLogStream", "logs:PutLogEvents"], [pulumi.Output.concat(log.arn, ":*")]),
                allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]),  # have no resource to name
                allow(["kms:Decrypt"], [args.key_arn]),
                *tell,
                *args.may,
            ],
            parent=self,
        )


def publish(topic: pulumi.Input[str], key_arn: pulumi.Input[str]) -> list[Statement]:
    """Write to an encrypted topic."""
    return [allow(["sns:Publish"], [topic]), allow(["kms:GenerateDataKey", "kms:Decrypt"], [key_arn])]
