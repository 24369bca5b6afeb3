"""A function's alias as it is now: which version answers, from which code, and how many instances are kept warm."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from opsctl.aws.session import client, translated

NO_WARM = "ProvisionedConcurrencyConfigNotFoundException"


@dataclass(frozen=True, slots=True)
class FunctionAlias:
    """An alias and the version behind it.

    Attributes:
        revision: ARN of the version.
        version: its number.
        images: what runs, in each spelling that AWS has for it.
        shared: whether another version gets a part of the requests.
        state: of the version: Pending, Active, Inactive or Failed.
        reason: why it is not active, where AWS says so.
        stopped: whether it may have no instance at all.
        warm: instances asked for, ready, and how far that is; None where none are kept.
    """

    revision: str
    version: str
    images: tuple[str, ...]
    shared: bool
    state: str
    reason: str | None
    stopped: bool
    warm: Warm | None


@dataclass(frozen=True, slots=True)
class Warm:
    """Instances that are kept started: IN_PROGRESS, READY or FAILED."""

    wanted: int
    ready: int
    status: str
    reason: str | None


def function_alias(region: str | None, name: str, alias: str) -> FunctionAlias:
    """Describe what an alias answers with.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"function '{name}'"):
        functions = client("lambda", region)
        pointed = functions.get_alias(FunctionName=name, Name=alias)
        version = pointed["FunctionVersion"]
        found = functions.get_function(FunctionName=name, Qualifier=version)
        made, code = found["Configuration"], found.get("Code", {})
        warm = _warm(functions, name, alias)
    return FunctionAlias(
        revision=f"{_unqualified(made['FunctionArn'])}:{version}",
        version=version,
        images=_images(made, code),
        shared=bool((pointed.get("RoutingConfig") or {}).get("AdditionalVersionWeights")),
        state=made.get("State", "Active"),
        reason=made.get("StateReason"),
        stopped=found.get("Concurrency", {}).get("ReservedConcurrentExecutions") == 0,
        warm=warm,
    )


def _unqualified(arn: str) -> str:
    return ":".join(arn.split(":")[:7])  # arn:aws:lambda:<region>:<account>:function:<name>


def _images(made: dict[str, Any], code: dict[str, Any]) -> tuple[str, ...]:
    if made.get("PackageType") == "Image":
        named = (code.get("ImageUri"), code.get("ResolvedImageUri"))
        return tuple(dict.fromkeys(uri for uri in named if uri))
    return (f"zip@sha256:{b64decode(made['CodeSha256']).hex()}",)


def _warm(functions: Any, name: str, alias: str) -> Warm | None:  # noqa: ANN401 - boto3 makes the class at run time
    try:
        found = functions.get_provisioned_concurrency_config(FunctionName=name, Qualifier=alias)
    except ClientError as exc:
        if exc.response["Error"]["Code"] == NO_WARM:
            return None
        raise
    return Warm(
        found["RequestedProvisionedConcurrentExecutions"],
        found.get("AvailableProvisionedConcurrentExecutions", 0),
        found["Status"],
        found.get("StatusReason"),
    )
