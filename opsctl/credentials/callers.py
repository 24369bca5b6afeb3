"""Callers' API keys: named in `access.keys` of the stack config, made by the next `up`, kept in Secrets Manager."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.config.defaults import SMOKE_TEST_KEY
from opsctl.errors import NotDeployed, NotUsable

if TYPE_CHECKING:
    from infra.config import StackConfig
    from infra.config.access import ApiKey
    from opsctl.credentials.config_file import ConfigFile
    from opsctl.stack import Delivery

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Caller:
    """One of them.

    Attributes:
        arn: where its key is kept; None before the `up` that makes it.
    """

    name: str
    limits: ApiKey
    arn: str | None


def callers(cfg: StackConfig, delivery: Delivery | None) -> list[Caller]:
    """All callers that the config names, and where the deployed stack keeps their keys."""
    kept = (delivery.secrets if delivery else None) or {}
    return [Caller(name, limits, kept.get(_secret(name))) for name, limits in sorted(cfg.access.keys.items())]


def create(file: ConfigFile, name: str, *, requests_per_minute: int | None, usd_per_hour: str | None) -> None:
    """Name a caller; the key is made by the next `up`.

    Raises:
        NotUsable: the stack has no API keys, the name is taken or none, or a limit is one that can't be kept.
    """
    _with_keys(file.cfg)
    if not NAME.fullmatch(name):
        raise NotUsable(f"'{name}' is no name of a caller", next_step="take letters, digits and hyphens, at most 63")
    if name in file.cfg.access.keys:
        raise NotUsable(f"there is a caller '{name}' already", next_step="rotate its key, or take another name")
    with file.changing():
        file.set(f"access.keys.{name}.revision", "1")
        if requests_per_minute is not None:
            file.set(f"access.keys.{name}.requestsPerMinute", str(requests_per_minute))
        if usd_per_hour is not None:
            file.set(f"access.keys.{name}.usdPerHour", usd_per_hour)


def rotate(file: ConfigFile, name: str) -> int:
    """Ask for another key of a caller; the old one ends when the service has read the book of the next `up`.

    Returns:
        The new revision.

    Raises:
        NotUsable: no such caller.
    """
    revision = _known(file.cfg, name).revision + 1
    file.set(f"access.keys.{name}.revision", str(revision))
    return revision


def revoke(file: ConfigFile, name: str) -> None:
    """Take a caller out; its key ends with the next `up`.

    Raises:
        NotUsable: no such caller, or the one that proves deployments.
    """
    _known(file.cfg, name)
    if name == SMOKE_TEST_KEY:
        raise NotUsable(
            f"'{name}' is the key that the smoke test calls with, so every stack has it", next_step="rotate it instead"
        )
    file.remove(f"access.keys.{name}")


def arn_of(cfg: StackConfig, delivery: Delivery, name: str) -> str:
    """Where the key of a caller is kept.

    Raises:
        NotUsable: no such caller.
        NotDeployed: its key isn't made yet.
    """
    _known(cfg, name)
    found = (delivery.secrets or {}).get(_secret(name))
    if found is None:
        raise NotDeployed(f"the key of '{name}' isn't made yet", next_step=f"run `opsctl deploy --stack {cfg.stack}`")
    return found


def _known(cfg: StackConfig, name: str) -> ApiKey:
    _with_keys(cfg)
    if name not in cfg.access.keys:
        raise NotUsable(f"there is no caller '{name}'", next_step=f"callers are {', '.join(sorted(cfg.access.keys))}")
    return cfg.access.keys[name]


def _with_keys(cfg: StackConfig) -> None:
    if cfg.access.auth != "api-keys":
        raise NotUsable(
            f"the callers of stack '{cfg.stack}' bring no API keys (access.auth: {cfg.access.auth})",
            next_step="see docs/topologies.md, Callers' keys",
        )


def _secret(name: str) -> str:
    return f"apiKey-{name}"
