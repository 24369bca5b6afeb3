"""Where a document or a key is kept that only a reference is given to: Secrets Manager, or a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

ARN = "arn:"


def reader(place: str, setting: str) -> Callable[[], bytes]:
    """Reads `place`, an ARN or a path that `setting` names; blocks, and raises OSError where it can't be had.

    Raises:
        StartupError: the ARN is none of a secret.
    """
    if not place.startswith(ARN):
        return Path(place).read_bytes
    from service.adapters.secrets_manager import Secret  # noqa: PLC0415 - boto3 loads when it is asked for

    return Secret(place, setting=setting).read
