"""Who hears of trouble, and of money: topics, pager, channel, budgets."""

import pytest

from infra import offline
from tests.infra.cloud_cases import program


@pytest.fixture(scope="module")
def prod() -> offline.Program:
    return program("prod")


def test_alarms_have_the_guides_thresholds_and_somebody_who_hears(prod: offline.Program) -> None:
    alarms = {each.name.rsplit("-", 1)[-1]: each.inputs for each in prod.of("MetricAlarm")}
    assert (alarms["errors"]["threshold"], alarms["latency"]["threshold"]) == (5, 10)
    assert alarms["latency"]["extendedStatistic"] == "p95"


def test_budget_speaks_up_before_the_money_is_gone(prod: offline.Program) -> None:
    budget = prod.one("budget:Budget").inputs
    assert budget["limitAmount"] == "2000"
    assert {(each["threshold"], each["notificationType"]) for each in budget["notifications"]} == {
        (50, "ACTUAL"),
        (80, "ACTUAL"),
        (100, "ACTUAL"),
        (100, "FORECASTED"),
    }


def test_an_hourly_rate_is_a_budget_of_a_day() -> None:
    budgets = {
        each.inputs["timeUnit"]: each.inputs for each in program("prod", budget={"hourlyUsd": 5}).of("budget:Budget")
    }
    assert budgets["DAILY"]["limitAmount"] == "120"
    assert [(each["threshold"], each["notificationType"]) for each in budgets["DAILY"]["notifications"]] == [
        (100, "ACTUAL")
    ]


def test_alarms_and_notices_are_posted_to_the_channel_and_nothing_can_be_done_from_there() -> None:
    declared = program("prod", monitoring={"slack": {"workspaceId": "T1", "channelId": "C1"}})
    channel = declared.one("SlackChannelConfiguration").inputs
    assert (channel["slackTeamId"], channel["slackChannelId"]) == ("T1", "C1")
    assert set(channel["snsTopicArns"]) == set(declared.outputs["topics"].values())
    assert channel["guardrailPolicyArns"] == ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
    assert not [each for each in declared.of("rolePolicy:RolePolicy") if "slack" in each.name]
