"""Self-healing: the function that brings a failed model endpoint back once, and then pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra.components.own_functions.function import OwnFunction, OwnFunctionArgs, publish
from infra.components.permissions import Statement, allow

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.components.model_access import ModelAccess

LONGEST_S = 900  # Lambda's; a large model takes as long to start
LOOK = ("DescribeEndpoint", "DescribeEndpointConfig", "DescribeInferenceComponent", "DescribeModel", "ListTags")
MAKE = (
    "AddTags",
    "CreateEndpoint",
    "CreateEndpointConfig",
    "CreateInferenceComponent",
    "CreateModel",
    "DeleteEndpoint",
    "DeleteEndpointConfig",
    "DeleteInferenceComponent",
    "DeleteModel",
    "UpdateEndpoint",
    "UpdateInferenceComponent",
)
# These list and describe whole accounts; they have no resource to name
LISTS = (
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListModels",
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "cloudwatch:DescribeAlarms",
)
SCALE = ("RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy", "DeleteScalingPolicy")


@dataclass(frozen=True, kw_only=True)
class HealingArgs:
    """What is healed, and with what.

    Attributes:
        endpoint: its name.
        alarm: name of the alarm that says it is down.
        model: the role that it runs with, and the bucket of its journal.
        pager: topic that hears what came of it.
    """

    endpoint: str
    alarm: str
    model: ModelAccess
    pager: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    log_days: int


class Healing(pulumi.ComponentResource):
    """The function `redeploy`, called by the alarm and by SageMaker's own word that the endpoint failed."""

    def __init__(self, name: str, site: Site, args: HealingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:Healing", name, None, opts)
        settings: dict[str, pulumi.Input[str]] = {
            "RAG_STACK": site.stack,
            "RAG_ENDPOINT": args.endpoint,
            "RAG_BUCKET": args.model.bucket,
            "RAG_TOPIC": args.pager,
        }
        function = OwnFunction(
            f"{name}-redeploy",
            site,
            OwnFunctionArgs(
                source="redeploy",
                says=f"Brings the model endpoint {args.endpoint} back to its last good release, once",
                environment=settings,
                may=[*_may(site, args), *publish(args.pager, args.key_arn)],
                key_arn=args.key_arn,
                log_days=args.log_days,
                timeout_s=LONGEST_S,
                failed=args.pager,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        down = {"alarmName": [args.alarm], "state": {"value": ["ALARM"]}}
        function.on_event(
            "alarm",
            {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"], "detail": down},
        )
        failed = {"EndpointName": [args.endpoint], "EndpointStatus": ["FAILED"]}
        function.on_event(
            "failed",
            {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"], "detail": failed},
        )
        self.register_outputs({})


def _may(site: Site, args: HealingArgs) -> list[Statement]:
    """The planner's calls, on this endpoint's parts only: all their names begin with the endpoint's."""
    name = args.endpoint.lower()  # SageMaker writes ARNs in lower case
    parts = [
        site.arn("sagemaker", f"{kind}/{name}{end}")
        for kind, end in (
            ("endpoint", ""),
            ("endpoint-config", "-*"),
            ("inference-component", "-main"),
            ("model", "-*"),
        )
    ]
    folder = pulumi.Output.concat("arn:aws:s3:::", args.model.bucket, f"/endpoints/{args.endpoint}/*")
    logs = [
        site.arn("logs", f"log-group:/aws/sagemaker/{kind}/{args.endpoint}*")
        for kind in ("Endpoints", "InferenceComponents")
    ]
    return [
        allow([f"sagemaker:{action}" for action in (*LOOK, *MAKE)], parts),
        allow(LISTS, ["*"]),
        allow(
            [f"application-autoscaling:{action}" for action in SCALE],
            [site.arn("application-autoscaling", "scalable-target/*")],
            {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}},
        ),
        allow(
            ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"],
            [site.arn("cloudwatch", f"alarm:{args.endpoint}-endpoint-*")],
        ),
        allow(
            ["iam:PassRole"],
            [args.model.role_arn],
            {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        allow(["s3:GetObject", "s3:PutObject"], [folder]),
        # without it S3 answers "forbidden" for a journal that isn't there yet
        allow(["s3:ListBucket"], [pulumi.Output.concat("arn:aws:s3:::", args.model.bucket)]),
        allow(["kms:GenerateDataKey", "kms:CreateGrant", "kms:DescribeKey"], [args.key_arn]),
        allow(["logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"], logs),
    ]
