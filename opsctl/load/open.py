"""Whom a load test asks: a stack by its name, with its key and its promise, or an address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.config.defaults import environment_of
from opsctl.errors import NotDeployed, NotUsable
from opsctl.load.target import Key, Target
from opsctl.service_key import service_key
from opsctl.stack import read_delivery

if TYPE_CHECKING:
    from opsctl.project import Project
    from opsctl.settings import Settings


@dataclass(frozen=True, slots=True)
class Opened:
    """The target, and within how many seconds its stack promises 95 of 100 answers."""

    target: Target
    p95_s: float | None = None


def open_address(url: str, allowed_host: str | None, keys: tuple[Key, ...]) -> Opened:
    """An address that was given.

    Raises:
        NotUsable: it is another machine and was not named twice.
    """
    return Opened(Target(url, keys, allowed_host))


def open_stack(project: Project, stack: str, settings: Settings, keys: tuple[Key, ...], *, yes: bool) -> Opened:
    """The service of `stack`; who names a stack has named its host.

    Raises:
        NotUsable: a production stack, without `yes`.
        NotDeployed: it has no address.
        StackNotFound, CloudRefused, TimedOut
    """
    if environment_of(stack) == "production" and not yes:
        raise NotUsable(
            f"'{stack}' is a production stack: its users would feel the load, and it costs what answers cost",
            next_step="test a copy of it (`environment: development`), or give --yes",
        )
    delivery = read_delivery(project, stack, settings.environ)
    if delivery.url is None:
        raise NotDeployed(f"stack '{stack}' has no url", next_step=f"run `opsctl deploy --stack {stack}`")
    url, own = delivery.url.rstrip("/"), service_key(settings, delivery)
    sent = keys or ((Key("default", own),) if own else ())
    return Opened(
        Target(url, sent, urlsplit(url).hostname), delivery.promises.p95_seconds if delivery.promises else None
    )


def named_keys(settings: Settings, names: tuple[str, ...]) -> tuple[Key, ...]:
    """The keys that these environment variables hold; without names the one in RAG_API_KEY, where there is one.

    Raises:
        NotUsable: one of them is not set.
    """
    if missing := [name for name in names if not settings.environ.get(name)]:
        raise NotUsable(f"--key-env {', '.join(missing)}: not set", next_step="export the key under that name")
    keys = tuple(Key(name, settings.environ[name]) for name in names)
    return keys or ((Key("RAG_API_KEY", settings.api_key),) if settings.api_key else ())
