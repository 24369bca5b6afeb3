"""How many machines run now behind what bills by the hour."""

from __future__ import annotations

from botocore.exceptions import ClientError

from opsctl.aws.endpoint_state import is_missing
from opsctl.aws.session import client, translated


def endpoint_instances(region: str | None, name: str) -> int:
    """Instances behind a model endpoint; 0 where it sleeps or is not there.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"endpoint '{name}'"):
        try:
            found = client("sagemaker", region).describe_endpoint(EndpointName=name)
        except ClientError as exc:
            if is_missing(exc):
                return 0
            raise
    return sum(int(variant.get("CurrentInstanceCount", 0)) for variant in found.get("ProductionVariants", ()))
