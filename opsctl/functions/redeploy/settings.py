"""The only reader of the environment in this function."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Whose endpoint it watches, where the journal is, and whom it tells."""

    stack: str
    endpoint: str
    bucket: str
    topic: str
    region: str


def load() -> Settings:
    """Read the environment; AWS_REGION is set by Lambda.

    Raises:
        KeyError: names the variable that is missing.
    """
    return Settings(
        stack=os.environ["RAG_STACK"],
        endpoint=os.environ["RAG_ENDPOINT"],
        bucket=os.environ["RAG_BUCKET"],
        topic=os.environ["RAG_TOPIC"],
        region=os.environ["AWS_REGION"],
    )
