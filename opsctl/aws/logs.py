"""CloudWatch Logs: the newest lines of a group, and those since a time."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from opsctl.aws.session import client, translated
from opsctl.follow import Line


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


class LogGroup:
    """Port `opsctl.follow.Source` over one group, or the streams of it whose name begins so."""

    def __init__(self, region: str | None, group: str, streams: str = "") -> None:
        self._group = group
        self._chosen = {"logStreamNamePrefix": streams} if streams else {}
        with translated(f"the log group {group}"):
            self._logs: Any = client("logs", region)

    def since(self, start_ms: int) -> list[Line]:
        """Lines of all streams since a time, oldest first; none where no container has started yet."""
        with translated(f"the log group {self._group}"):
            try:
                pages = self._logs.get_paginator("filter_log_events").paginate(
                    logGroupName=self._group, startTime=start_ms, interleaved=True, **self._chosen
                )
                events = [each for page in pages for each in page["events"]]
            except ClientError as exc:
                if exc.response["Error"]["Code"] == "ResourceNotFoundException":
                    return []
                raise
        lines = (Line(each["eventId"], each["timestamp"], each["logStreamName"], each["message"]) for each in events)
        return sorted(lines, key=lambda line: line.at_ms)
