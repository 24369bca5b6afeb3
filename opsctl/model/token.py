"""The token that the model hub is shown: the operator's own, else the one that the stack keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsctl.settings import Hub
    from opsctl.stack import Delivery

KEPT = "huggingFaceToken"
"""Under this name a stack keeps `secrets.huggingFaceToken`; neither the service nor the endpoint may read it."""


def with_token(hub: Hub, delivery: Delivery) -> Hub:
    """The hub with HF_TOKEN; where that is unset, with the stack's own token, read with the operator's credentials.

    Raises:
        CloudRefused, TimedOut: the stack has a token and the operator may not read it.
    """
    arn = (delivery.secrets or {}).get(KEPT)
    if hub.token is not None or arn is None:
        return hub
    from opsctl.aws import secret_text  # noqa: PLC0415 - boto3 is paid by the stack that needs it

    return replace(hub, token=secret_text(delivery.region, arn))
