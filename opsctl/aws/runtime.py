"""Invocations of an endpoint, streamed."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, EventStreamError

from opsctl.aws.session import client, translated
from opsctl.errors import CheckFailed, NotDeployed

if TYPE_CHECKING:
    from collections.abc import Iterator


def invoke(region: str, endpoint: str, component: str | None, body: bytes) -> Iterator[bytes]:
    """Send `body`; give the container's answer piece by piece.

    Raises:
        CheckFailed: it sleeps, or its container failed.
        NotDeployed: there is no such endpoint.
        CloudRefused, TimedOut
    """
    where: dict[str, Any] = {"EndpointName": endpoint} | ({"InferenceComponentName": component} if component else {})
    with translated(f"endpoint '{endpoint}'", to="invoke"):
        try:
            with closing(client("sagemaker-runtime", region)) as runtime:
                said = runtime.invoke_endpoint_with_response_stream(**where, ContentType="application/json", Body=body)
                with closing(said["Body"]) as events:
                    for event in events:
                        yield event["PayloadPart"]["Bytes"]
        except EventStreamError as exc:
            raise CheckFailed(
                f"the answer broke off: {exc.response['Error']['Code']}", next_step="see `opsctl endpoint logs`"
            ) from exc
        except ClientError as exc:
            raise (_translated(exc, endpoint) or exc) from exc


def _translated(exc: ClientError, endpoint: str) -> Exception | None:
    code, said = exc.response["Error"]["Code"], exc.response["Error"]["Message"]
    if "no capacity" in said.lower() or code == "ModelNotReadyException":
        return CheckFailed(f"endpoint '{endpoint}' sleeps: no copy runs", next_step="wake it: `opsctl endpoint wake`")
    if code == "ModelError":
        status = exc.response.get("OriginalStatusCode", "an error")
        return CheckFailed(f"the model's container answered {status}", next_step="see `opsctl endpoint logs`")
    if code in {"ValidationError", "ValidationException"} and "not found" in said.lower():
        return NotDeployed(f"there is no endpoint '{endpoint}'", next_step="deploy it: `opsctl deploy-endpoint`")
    return None
