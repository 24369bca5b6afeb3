"""The only package that imports boto3: asks AWS, answers with values, translates its errors. It decides nothing."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from opsctl.aws.session import client, translated
from opsctl.errors import CloudRefused


@dataclass(frozen=True, slots=True)
class EcsService:
    """An ECS service as it is now.

    Attributes:
        task_definition: ARN of what the primary deployment runs.
        images: of its containers.
        rollout: state of the primary deployment, IN_PROGRESS, COMPLETED or FAILED.
        undone: why the newest service deployment was stopped or rolled back; None where it was not.
    """

    task_definition: str
    images: tuple[str, ...]
    rollout: str
    undone: str | None
    desired: int
    running: int


def ecs_service(region: str | None, cluster: str, service: str) -> EcsService:
    """Describe a service, its primary deployment, and how its newest service deployment ended.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"ECS service '{service}'"):
        ecs = client("ecs", region)
        found = ecs.describe_services(cluster=cluster, services=[service])["services"]
        if not found or found[0]["status"] != "ACTIVE":
            raise CloudRefused(
                f"cluster '{cluster}' has no active service '{service}'",
                next_step="run `pulumi refresh`, then deploy again",
            )
        primary = next(each for each in found[0]["deployments"] if each["status"] == "PRIMARY")
        definition = ecs.describe_task_definition(taskDefinition=primary["taskDefinition"])["taskDefinition"]
        newest = ecs.list_service_deployments(cluster=cluster, service=service, maxResults=1)["serviceDeployments"]
    return EcsService(
        task_definition=primary["taskDefinition"],
        images=tuple(container["image"] for container in definition["containerDefinitions"]),
        rollout=primary.get("rolloutState", "COMPLETED"),  # absent where ECS doesn't run the deployment itself
        undone=_undone(newest[0]) if newest else None,
        desired=primary["desiredCount"],
        running=primary["runningCount"],
    )


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """What a container tool logs in to ECR with; valid for 12 hours."""

    user: str
    password: str = field(repr=False)


def registry_login(region: str | None) -> RegistryLogin:
    """Ask ECR for a login.

    Raises:
        CloudRefused, TimedOut
    """
    with translated("the login of the image registry"):
        ecr = client("ecr", region)
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = b64decode(token).decode().partition(":")
    return RegistryLogin(user, password)


def secret_text(region: str | None, arn: str) -> str:
    """The current value of a secret.

    Raises:
        CloudRefused, TimedOut: names the secret, never its value.
    """
    with translated(f"the secret {arn}"):
        secrets = client("secretsmanager", region)
        return str(secrets.get_secret_value(SecretId=arn)["SecretString"])


def _undone(deployment: dict[str, Any]) -> str | None:
    status = str(deployment["status"])
    if not status.startswith(("ROLLBACK", "STOP")):
        return None
    return str(deployment.get("statusReason") or status)
