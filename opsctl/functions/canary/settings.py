"""The only reader of the environment in this function."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Whom it asks, what, and under which name it counts.

    Attributes:
        key_secret: ARN of the secret that holds the key to ask with; empty where there is none.
        checks: names of the smoke test's checks, in their order.
    """

    url: str
    namespace: str
    checks: frozenset[str]
    key_secret: str
    region: str


def load() -> Settings:
    """Read the environment; AWS_REGION is set by Lambda.

    Raises:
        KeyError: names the variable that is missing.
    """
    return Settings(
        url=os.environ["RAG_URL"],
        namespace=os.environ["RAG_NAMESPACE"],
        checks=frozenset(os.environ["RAG_CHECKS"].split(",")),
        key_secret=os.environ.get("RAG_KEY_FROM", ""),
        region=os.environ["AWS_REGION"],
    )
