"""Which of a stack's alarms ring."""

from __future__ import annotations

from opsctl.aws.session import client, translated


def ringing(region: str, prefix: str) -> tuple[str, ...]:
    """Names of the alarms in ALARM whose name starts with `prefix`, those that are parts of others included.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"alarms '{prefix}*'"):
        pages = client("cloudwatch", region).get_paginator("describe_alarms")
        asked = {"AlarmNamePrefix": prefix, "StateValue": "ALARM", "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
        found = [
            each
            for page in pages.paginate(**asked)
            for key in ("MetricAlarms", "CompositeAlarms")
            for each in page.get(key, ())
        ]
        return tuple(sorted(each["AlarmName"] for each in found))
