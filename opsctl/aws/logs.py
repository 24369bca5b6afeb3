"""CloudWatch Logs: the newest lines of a group."""

from __future__ import annotations

from botocore.exceptions import ClientError

from opsctl.aws.session import client, translated


def newest_lines(region: str | None, group: str, count: int) -> tuple[str, ...]:
    """The last lines of the stream that was written to last; none where the container never started.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"the log group {group}"):
        logs = client("logs", region)
        try:
            streams = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=1)
        except ClientError as exc:
            if exc.response["Error"]["Code"] == "ResourceNotFoundException":
                return ()
            raise
        if not streams["logStreams"]:
            return ()
        events = logs.get_log_events(
            logGroupName=group,
            logStreamName=streams["logStreams"][0]["logStreamName"],
            limit=count,
            startFromHead=False,
        )["events"]
    return tuple(str(event["message"]).rstrip() for event in events)
