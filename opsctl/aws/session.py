"""Clients with limits, and the SDK's errors in opsctl's words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, NoCredentialsError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from opsctl.errors import CloudRefused, TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 5})
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"}


def client(service: str, region: str | None) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
    """A client of one service; throttling and 5xx are tried again by botocore, a bounded number of times."""
    return boto3.Session().client(service, region_name=region, config=LIMITS)  # type: ignore[call-overload]


@contextmanager
def translated(what: str, *, to: str = "show") -> Iterator[None]:
    """Turn the SDK's errors into opsctl's; `to` says what AWS was asked to do with `what`.

    Raises:
        CloudRefused, TimedOut
    """
    try:
        yield
    except NoCredentialsError as exc:
        raise CloudRefused(
            f"no AWS credentials to {_reading(to)} {what}", next_step="run `aws configure sso`, or set AWS_PROFILE"
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
            f"AWS refused to {to} {what}: {error['Code']}: {error['Message']}", next_step=next_step
        ) from exc
    except (BotoCoreError, ResponseParserError) as exc:  # the latter: a proxy's page instead of an answer
        raise CloudRefused(
            f"AWS can't be asked about {what}: {exc}", next_step="check AWS_REGION and AWS_PROFILE"
        ) from exc


def _reading(to: str) -> str:
    return "read" if to == "show" else to
