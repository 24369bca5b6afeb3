"""The only place that imports boto3: asks AWS, answers with values, translates its errors. It decides nothing."""

from __future__ import annotations

from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, NoCredentialsError, ReadTimeoutError

from opsctl.errors import CloudRefused, TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 5})
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"}


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
    with _translated(f"ECS service '{service}'"):
        ecs: Any = boto3.Session().client("ecs", region_name=region, config=LIMITS)
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
    with _translated("the login of the image registry"):
        ecr: Any = boto3.Session().client("ecr", region_name=region, config=LIMITS)
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = b64decode(token).decode().partition(":")
    return RegistryLogin(user, password)


def secret_text(region: str | None, arn: str) -> str:
    """The current value of a secret.

    Raises:
        CloudRefused, TimedOut: names the secret, never its value.
    """
    with _translated(f"the secret {arn}"):
        secrets: Any = boto3.Session().client("secretsmanager", region_name=region, config=LIMITS)
        return str(secrets.get_secret_value(SecretId=arn)["SecretString"])


def _undone(deployment: dict[str, Any]) -> str | None:
    status = str(deployment["status"])
    if not status.startswith(("ROLLBACK", "STOP")):
        return None
    return str(deployment.get("statusReason") or status)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except NoCredentialsError as exc:
        raise CloudRefused(
            f"no AWS credentials to read {what}", next_step="run `aws configure sso`, or set AWS_PROFILE"
        ) from exc
    except (ConnectTimeoutError, ReadTimeoutError) as exc:
        raise TimedOut(f"AWS gave no answer about {what}", next_step="check the network, then run it again") from exc
    except ClientError as exc:
        error = exc.response["Error"]
        next_step = (
            "run `aws sso login`"
            if error["Code"] in EXPIRED
            else f"allow or correct {exc.operation_name}, then run it again"
        )
        raise CloudRefused(
            f"AWS refused to show {what}: {error['Code']}: {error['Message']}", next_step=next_step
        ) from exc
    except BotoCoreError as exc:
        raise CloudRefused(
            f"AWS can't be asked about {what}: {exc}", next_step="check AWS_REGION and AWS_PROFILE"
        ) from exc
