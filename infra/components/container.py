"""The containers of a task as ECS takes them. Pure: plain data in, plain data out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pulumi

    from infra.sizing import FargateSize

NAME = "service"
PORT = 8000
METRICS_PORT = 9090  # reached by no load balancer
LLAMA = "llama"
LLAMA_PORT = 8081  # on the task's loopback: reached by the service alone
UID = "10001:10001"
STOP_TIMEOUT_S = 45  # ECS sends SIGKILL after stopTimeout (default 30 s); budgets: graceful 30 s < 45 s
GRACE_S = 180  # model load before the first health check counts


# Fargate mounts it as the image has it: the image must make /tmp writable for the user
SCRATCH = {"scratch": "/tmp"}  # noqa: S108 - in the container
# Where the agent of ECS Exec writes: AWS names no way with a read-only root, users found this one
# (aws/containers-roadmap#1359, aws-containers/amazon-ecs-exec-checker#71).
SHELL_PATHS = {"agents": "/managed-agents", "state": "/var/lib/amazon/ssm", "log": "/var/log/amazon/ssm"}


@dataclass(frozen=True)
class ContainerArgs:
    """What a container is spelled from.

    Attributes:
        image: by digest.
        log_group: its name.
        region: of the log group.
        part: what it gets of the task; None where it is alone.
        shell: whether one may be opened in it.
    """

    image: str
    log_group: pulumi.Input[str]
    region: str
    part: FargateSize | None = None
    shell: bool = False


@dataclass(frozen=True)
class ModelArgs:
    """What llama.cpp serves.

    Attributes:
        path: of the GGUF file in the image.
        context_tokens: its window.
        threads: CPU threads.
    """

    path: str
    context_tokens: int
    threads: int


def service(
    args: ContainerArgs,
    environment: Mapping[str, pulumi.Input[str]],
    secrets: Mapping[str, pulumi.Input[str]],
    after: str | None = None,
) -> dict[str, Any]:
    """The service; ECS fetches the values of `secrets` (name -> ARN), no definition holds one.

    `after` names a container that must be healthy first.
    """
    waits = {"dependsOn": [{"containerName": after, "condition": "HEALTHY"}]} if after else {}
    return {
        **_hardened(NAME, args),
        **waits,
        "portMappings": [{"containerPort": PORT, "hostPort": PORT, "protocol": "tcp", "name": "http"}],
        "environment": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        "secrets": [{"name": name, "valueFrom": arn} for name, arn in sorted(secrets.items())],
    }


def llama(args: ContainerArgs, model: ModelArgs) -> dict[str, Any]:
    """llama.cpp's server; stopped after the service, which needs it to the last answer."""
    return {
        **_hardened(LLAMA, args),
        "command": llama_command(model),
        "healthCheck": {
            "command": ["CMD", "curl", "-fsS", f"http://127.0.0.1:{LLAMA_PORT}/health"],
            "interval": 10,
            "timeout": 5,
            "retries": 3,
            "startPeriod": GRACE_S,
        },
    }


def llama_command(model: ModelArgs) -> list[str]:
    """The options of llama.cpp's server."""
    options = {
        "--model": model.path,
        "--host": "127.0.0.1",
        "--port": str(LLAMA_PORT),
        "--ctx-size": str(model.context_tokens),
        "--threads": str(model.threads),
        "--parallel": "1",  # one answer at a time is the fastest order on a few cores
    }
    return [word for pair in options.items() for word in pair]


def volumes(containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of what the containers mount: scratch space, each its own."""
    return [mount["sourceVolume"] for each in containers for mount in each["mountPoints"]]


def _hardened(name: str, args: ContainerArgs) -> dict[str, Any]:
    """Non-root, read-only root, no capability, an init that reaps, logs that never block an answer."""
    part = {"cpu": args.part.cpu_units, "memory": args.part.memory_mib} if args.part else {}
    return {
        "name": name,
        "image": args.image,
        **part,
        "essential": True,
        "user": UID,
        "readonlyRootFilesystem": True,
        "privileged": False,
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        "ulimits": [{"name": "nofile", "softLimit": 65536, "hardLimit": 65536}],
        "stopTimeout": STOP_TIMEOUT_S,
        "mountPoints": [
            {"sourceVolume": f"{name}-{what}", "containerPath": path, "readOnly": False}
            for what, path in {**SCRATCH, **(SHELL_PATHS if args.shell else {})}.items()
        ],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": args.log_group,
                "awslogs-region": args.region,
                "awslogs-stream-prefix": name,
                "mode": "non-blocking",
                "max-buffer-size": "25m",
            },
        },
    }
