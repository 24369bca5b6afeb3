"""The only reader of the environment in this function."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Whose hour is priced; `endpoint` is empty where the stack has none."""

    stack: str
    namespace: str
    endpoint: str
    region: str


def load() -> Settings:
    """Read the environment; AWS_REGION is set by Lambda.

    Raises:
        KeyError: names the variable that is missing.
    """
    return Settings(
        stack=os.environ["RAG_STACK"],
        namespace=os.environ["RAG_NAMESPACE"],
        endpoint=os.environ.get("RAG_ENDPOINT", ""),
        region=os.environ["AWS_REGION"],
    )
