"""Which Qdrant an export reads, and with which key: the operator's own, else the one that the stack keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.edge.job import Source
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from infra.config import StackConfig
    from opsctl.settings import Settings
    from opsctl.stack import Delivery

KEPT = "qdrantApiKey"
"""Under this name a stack keeps `secrets.qdrantApiKey`; an edge may not read it."""


def source_of(cfg: StackConfig, delivery: Delivery, url: str | None, settings: Settings) -> Source:
    """Where the vectors are.

    Raises:
        NotUsable: nobody said where.
        CloudRefused, TimedOut: the stack has a key and the operator may not read it.
    """
    address = url or cfg.retrieval.url
    if address is None:
        raise NotUsable(
            "the stack file says no retrieval.url",
            next_step="name the Qdrant with --qdrant URL, or a bundle on this machine with --bundle DIR",
        )
    return Source(address, cfg.retrieval.collections, settings.environ.get("QDRANT_APIKEY") or _kept(delivery))


def _kept(delivery: Delivery) -> str | None:
    arn = (delivery.secrets or {}).get(KEPT)
    if arn is None:
        return None
    from opsctl.aws import secret_text  # noqa: PLC0415 - boto3 is paid by the stack that needs it

    return secret_text(delivery.region, arn)
