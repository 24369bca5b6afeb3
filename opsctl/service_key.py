"""The key that opsctl shows to a deployed service: the operator's own, else the one that the stack generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsctl.settings import Settings
    from opsctl.stack import Delivery

GENERATED = "apiKey-default"
"""Under this name a stack keeps the plaintext of its first key; the service itself may not read it."""


def service_key(settings: Settings, delivery: Delivery) -> str | None:
    """RAG_API_KEY; where it is unset, the stack's own key, read with the operator's credentials.

    Returns:
        None where neither is there: an edge, or a stack whose callers bring tokens.

    Raises:
        CloudRefused, TimedOut: the stack has a key and the operator may not read it.
    """
    arn = (delivery.secrets or {}).get(GENERATED)
    if settings.api_key is not None or arn is None:
        return settings.api_key
    from opsctl.aws import secret_text  # noqa: PLC0415 - boto3 is paid by the stack that needs it

    return secret_text(delivery.region, arn)
