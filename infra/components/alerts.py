"""Who hears of trouble: one topic that pages, one that informs; and the budget that speaks up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components.permissions import document, role, trusted_by

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from infra.components.account import Site
    from infra.config.workload import Budget as BudgetConfig
    from infra.config.workload import Monitoring, Slack

HOURS_PER_DAY = 24
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"  # most that anybody may do from the channel
WRITERS = (
    "cloudwatch.amazonaws.com",
    "budgets.amazonaws.com",
    "costalerts.amazonaws.com",
    "events.amazonaws.com",
)
# share of the monthly limit in percent, kind of spend
BUDGET_STEPS = ((50, "ACTUAL"), (80, "ACTUAL"), (100, "ACTUAL"), (100, "FORECASTED"))


class Alerts(pulumi.ComponentResource):
    """`pager` wakes somebody, `notices` is read when there is time; both encrypted, written to by AWS services only."""

    pager: pulumi.Output[str]
    notices: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        site: Site,
        key_arn: pulumi.Input[str],
        config: Monitoring,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rag-platform:component:Alerts", name, None, opts)
        self._site, self._key_arn = site, key_arn
        self.pager = self._topic(f"{name}-pager")
        self.notices = self._topic(f"{name}-notices")
        if config.pager_duty is not None:
            key = config.pager_duty.get_secret_value()
            aws.sns.TopicSubscription(
                f"{name}-pagerduty",
                topic=self.pager,
                protocol="https",
                endpoint=pulumi.Output.secret(f"https://events.pagerduty.com/integration/{key}/enqueue"),
                endpoint_auto_confirms=True,
                opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=["endpoint"]),
            )
        if config.slack is not None:
            self._post_to(name, config.slack)
        self.register_outputs({"pager": self.pager, "notices": self.notices})

    def _post_to(self, name: str, slack: Slack) -> None:
        """Both topics in a channel, by AWS Chatbot; whoever writes there can do nothing in the account."""
        speaker = role(
            f"{name}-slack",
            description="AWS Chatbot posts alarms with it and may do nothing else",
            trust=trusted_by(self._site, "chatbot.amazonaws.com"),
            statements=[],
            parent=self,
        )
        aws.chatbot.SlackChannelConfiguration(
            f"{name}-slack",
            configuration_name=name,
            iam_role_arn=speaker.arn,
            slack_team_id=slack.workspace_id,
            slack_channel_id=slack.channel_id,
            sns_topic_arns=[self.pager, self.notices],
            guardrail_policy_arns=[READ_ONLY],
            logging_level="ERROR",
            user_authorization_required=True,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _topic(self, name: str) -> pulumi.Output[str]:
        topic = aws.sns.Topic(name, kms_master_key_id=self._key_arn, opts=pulumi.ResourceOptions(parent=self))
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": list(WRITERS)},
            "Action": "sns:Publish",
            "Resource": topic.arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": self._site.account}},
        }
        aws.sns.TopicPolicy(
            f"{name}-policy", arn=topic.arn, policy=document(statement), opts=pulumi.ResourceOptions(parent=self)
        )
        arn: pulumi.Output[str] = topic.arn
        return arn


class Budget(pulumi.ComponentResource):
    """A monthly budget over everything that carries the stack's tag; a daily one where an hourly rate is given."""

    def __init__(
        self,
        name: str,
        site: Site,
        config: BudgetConfig,
        topic: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rag-platform:component:Budget", name, None, opts)
        self._site, self._topic = site, topic
        self._unusual(name, config)
        self._limit(f"{name}-monthly", config.monthly_usd, "MONTHLY", BUDGET_STEPS)
        if config.hourly_usd is not None:
            # a day is the shortest period that AWS Budgets has, and it forecasts none
            self._limit(f"{name}-daily", config.hourly_usd * HOURS_PER_DAY, "DAILY", ((100, "ACTUAL"),))
        self.register_outputs({})

    def _unusual(self, name: str, config: BudgetConfig) -> None:
        """AWS's own word of a spend that is unlike the weeks before; it learns by itself, and lags a day."""
        watched = {"Tags": {"Key": "user:stack", "Values": [self._site.stack], "MatchOptions": ["EQUALS"]}}
        monitor = aws.costexplorer.AnomalyMonitor(
            f"{name}-anomalies",
            name=f"{name}-anomalies",
            monitor_type="CUSTOM",
            monitor_specification=json.dumps(watched),
            opts=pulumi.ResourceOptions(parent=self),
        )
        impact = {
            "key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
            "match_options": ["GREATER_THAN_OR_EQUAL"],
            "values": [f"{config.anomaly_usd:f}"],
        }
        aws.costexplorer.AnomalySubscription(
            f"{name}-anomalies",
            name=f"{name}-anomalies",
            frequency="IMMEDIATE",
            monitor_arn_lists=[monitor.arn],
            subscribers=[{"type": "SNS", "address": self._topic}],
            threshold_expression={"dimension": impact},
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _limit(self, name: str, usd: Decimal, period: str, steps: Sequence[tuple[int, str]]) -> None:
        aws.budgets.Budget(
            name,
            budget_type="COST",
            limit_amount=f"{usd:f}",
            limit_unit="USD",
            time_unit=period,
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:stack${self._site.stack}"]}],
            notifications=[
                {
                    "comparison_operator": "GREATER_THAN",
                    "threshold": share,
                    "threshold_type": "PERCENTAGE",
                    "notification_type": kind,
                    "subscriber_sns_topic_arns": [self._topic],
                }
                for share, kind in steps
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
