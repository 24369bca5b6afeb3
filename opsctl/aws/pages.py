"""Messages to the people who look after a stack, through its SNS topics."""

from __future__ import annotations

from opsctl.aws.session import client, translated

LONGEST_SUBJECT = 100  # SNS


def publish(region: str, topic: str, subject: str, text: str) -> None:
    """Send a message.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"topic '{topic.rpartition(':')[2]}'", to="publish to"):
        client("sns", region).publish(TopicArn=topic, Subject=subject[:LONGEST_SUBJECT], Message=text)
