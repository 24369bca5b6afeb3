"""A session in a container of a running task, as ECS Exec opens it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from opsctl.aws.session import client, translated
from opsctl.errors import NotDeployed, NotUsable

if TYPE_CHECKING:
    from collections.abc import Sequence

CLOSED = "execute command was not enabled"


@dataclass(frozen=True, slots=True)
class Shell:
    """What the Session Manager plugin is told.

    Attributes:
        request: what was asked for.
        response: address and token of the session; whoever reads it has the session.
        endpoint: of Systems Manager.
    """

    region: str
    request: str
    endpoint: str
    response: str = field(repr=False)


def open_shell(
    region: str | None, cluster: str, service: str, container: str, command: Sequence[str], *, allow: str
) -> Shell:
    """Open a session in the newest running task of a service; `allow` is how shells are let in.

    Raises:
        NotDeployed: no task runs.
        NotUsable: the stack lets no shell in.
        CloudRefused, TimedOut
    """
    with translated(f"a shell in service '{service}'", to="open"):
        ecs = client("ecs", region)
        task = _newest(ecs, cluster, service)
        try:
            said = ecs.execute_command(
                cluster=cluster,
                task=task["taskArn"],
                container=container,
                command=shlex.join(command),
                interactive=True,
            )["session"]
        except ClientError as exc:
            if CLOSED in exc.response["Error"]["Message"]:
                raise NotUsable(f"service '{service}' lets no shell in", next_step=allow) from exc
            raise
        runtime = next(each["runtimeId"] for each in task["containers"] if each["name"] == container)
        endpoint = client("ssm", region).meta.endpoint_url
    target = f"ecs:{cluster}_{task['taskArn'].rpartition('/')[2]}_{runtime}"
    response = {"SessionId": said["sessionId"], "TokenValue": said["tokenValue"], "StreamUrl": said["streamUrl"]}
    return Shell(ecs.meta.region_name, json.dumps({"Target": target}), endpoint, json.dumps(response))


def _newest(ecs: Any, cluster: str, service: str) -> dict[str, Any]:  # noqa: ANN401 - boto3 makes the class at run time
    arns = ecs.list_tasks(cluster=cluster, serviceName=service, desiredStatus="RUNNING")["taskArns"]
    found = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    running = [task for task in found if task["lastStatus"] == "RUNNING"]
    if not running:
        raise NotDeployed(f"no task of service '{service}' runs", next_step="see `opsctl status`")
    newest: dict[str, Any] = max(running, key=lambda task: str(task.get("startedAt") or task.get("createdAt") or ""))
    return newest
