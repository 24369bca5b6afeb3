"""The only reader of the environment in `opsctl`; below it, values."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Hub:
    """Where models are published, from HF_ENDPOINT, and the token for gated ones, from HF_TOKEN."""

    url: str = HUB
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, read once per command.

    Attributes:
        api_key: the service's key from RAG_API_KEY; never taken from a command line, where other users could read it.
        color: False where NO_COLOR is set to anything but nothing (no-color.org).
        environ: the whole environment, for the programs that a command starts.
        hub: the model hub.
    """

    api_key: str | None = field(default=None, repr=False)
    color: bool = True
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    hub: Hub = Hub()


def load() -> Settings:
    """Read the environment."""
    environ = dict(os.environ)
    return Settings(
        api_key=environ.get("RAG_API_KEY") or None,
        color=not environ.get("NO_COLOR"),
        environ=environ,
        hub=Hub((environ.get("HF_ENDPOINT") or HUB).rstrip("/"), environ.get("HF_TOKEN") or None),
    )
