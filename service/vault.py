"""Secrets that the environment only refers to: read with the process's role, so that no value is in the environment."""

from __future__ import annotations

from collections.abc import Mapping

from service.errors import StartupError

SETTING = "RAG_SECRETS_FROM"


def fetch(references: Mapping[str, str]) -> dict[str, str]:
    """Name -> value, for each name -> ARN.

    Raises:
        StartupError: what can't be read, every one of them at once.
    """
    from service.adapters.secrets_manager import Secrets  # noqa: PLC0415 - boto3 loads when it is asked for

    read = Secrets(references, setting=SETTING).read()
    failed = {name: value for name, value in read.items() if isinstance(value, OSError)}
    if failed:
        reasons = "; ".join(f"{name} ({references[name]}) can't be read: {exc}" for name, exc in failed.items())
        raise StartupError(f"{SETTING}: {reasons}")
    return {name: value for name, value in read.items() if isinstance(value, str)}
