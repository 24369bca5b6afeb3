"""CodeDeploy for a function's alias: a new version gets a part of the requests first, and loses them on an alarm.

Declares who shifts and when it goes back; `opsctl deploy` starts each shift, for the engine can't wait for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components.permissions import allow, role, trusted_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site

# AWS's own: a tenth first, then all; or a tenth each minute
PACES = {
    "canary": "CodeDeployDefault.LambdaCanary10Percent5Minutes",
    "linear": "CodeDeployDefault.LambdaLinear10PercentEvery1Minute",
}


@dataclass(frozen=True)
class GradualRolloutArgs:
    """What a rollout is built from.

    Attributes:
        pace: canary or linear.
        function: ARN pattern of the function whose alias is moved.
        alarms: names of the alarms on which it goes back.
    """

    pace: str
    function: pulumi.Input[str]
    alarms: Sequence[pulumi.Input[str]]


class GradualRollout(pulumi.ComponentResource):
    """`application` and `group` are what `opsctl deploy` starts a shift with."""

    application: pulumi.Output[str]
    group: pulumi.Output[str]

    def __init__(
        self, name: str, site: Site, args: GradualRolloutArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:GradualRollout", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        mover = role(
            f"{name}-rollout",
            description="CodeDeploy moves the alias with it",
            trust=trusted_by(site, "codedeploy.amazonaws.com"),
            statements=[
                allow(
                    ["lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"],
                    [args.function, pulumi.Output.concat(args.function, ":*")],
                ),
                allow(["cloudwatch:DescribeAlarms"], ["*"]),  # describe calls have no resource to name
            ],
            parent=self,
        )
        application = aws.codedeploy.Application(f"{name}-rollout", compute_platform="Lambda", opts=child)
        group = aws.codedeploy.DeploymentGroup(
            f"{name}-rollout",
            app_name=application.name,
            deployment_group_name="live",
            deployment_config_name=PACES[args.pace],
            service_role_arn=mover.arn,
            deployment_style={"deployment_type": "BLUE_GREEN", "deployment_option": "WITH_TRAFFIC_CONTROL"},
            auto_rollback_configuration={
                "enabled": True,
                "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
            },
            alarm_configuration={"enabled": True, "alarms": args.alarms, "ignore_poll_alarm_failure": False},
            opts=child,
        )
        self.application, self.group = application.name, group.deployment_group_name
        self.register_outputs({"application": self.application})
