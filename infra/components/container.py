"""The service's container as ECS takes it. Pure: plain data in, plain data out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

NAME = "service"
PORT = 8000
METRICS_PORT = 9090  # reached by no load balancer
UID = "10001:10001"
STOP_TIMEOUT_S = 45  # ECS sends SIGKILL after stopTimeout (default 30 s); budgets: graceful 30 s < 45 s
GRACE_S = 180  # model load before the first health check counts
SCRATCH = "scratch"


@dataclass(frozen=True)
class ContainerArgs:
    """What the container is spelled from.

    Attributes:
        image: by digest.
        environment: plain values.
        secrets: name -> ARN; ECS fetches the value, no definition holds one.
        log_group: its name.
        region: of the log group.
    """

    image: str
    environment: Mapping[str, pulumi.Input[str]]
    secrets: Mapping[str, pulumi.Input[str]]
    log_group: pulumi.Input[str]
    region: str


def definition(args: ContainerArgs) -> dict[str, Any]:
    """Non-root, read-only root, no capability, an init that reaps, logs that never block an answer."""
    return {
        "name": NAME,
        "image": args.image,
        "essential": True,
        "user": UID,
        "readonlyRootFilesystem": True,
        "privileged": False,
        "portMappings": [{"containerPort": PORT, "hostPort": PORT, "protocol": "tcp", "name": "http"}],
        "environment": [{"name": name, "value": value} for name, value in sorted(args.environment.items())],
        "secrets": [{"name": name, "valueFrom": arn} for name, arn in sorted(args.secrets.items())],
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        "ulimits": [{"name": "nofile", "softLimit": 65536, "hardLimit": 65536}],
        "stopTimeout": STOP_TIMEOUT_S,
        "mountPoints": [{"sourceVolume": SCRATCH, "containerPath": "/tmp", "readOnly": False}],  # noqa: S108 - in the container
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": args.log_group,
                "awslogs-region": args.region,
                "awslogs-stream-prefix": NAME,
                "mode": "non-blocking",
                "max-buffer-size": "25m",
            },
        },
    }
