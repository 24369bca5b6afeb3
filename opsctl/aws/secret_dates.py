"""When secrets were last written; values are not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.aws.session import client, translated

if TYPE_CHECKING:
    import datetime as dt


def changed_at(region: str | None, arn: str) -> dt.datetime | None:
    """When the current value of a secret was written; None where it has none.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"the secret {arn}"):
        found = client("secretsmanager", region).describe_secret(SecretId=arn)
    return found.get("LastChangedDate") if found.get("VersionIdsToStages") else None
