"""Whom the load may reach: this machine, or a host that the operator named a second time."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from opsctl.errors import NotUsable
from opsctl.smoke.client import is_loopback


@dataclass(frozen=True, slots=True)
class Key:
    """An API key and the name under which its outcomes are reported."""

    name: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """A service that may be loaded.

    Attributes:
        keys: taken in turn; none: no key is sent.
        allowed_host: the host of `url` again, where it is not this machine.

    Raises:
        NotUsable: the host is another machine and was not named twice.
    """

    url: str
    keys: tuple[Key, ...] = ()
    allowed_host: str | None = None

    def __post_init__(self) -> None:
        """Refuse a host that was reached for by mistake."""
        host = urlsplit(self.url).hostname
        if not is_loopback(self.url) and host != self.allowed_host:
            raise NotUsable(
                f"{self.url} is not this machine, and load on a service that others use is an outage",
                next_step=f"if it is yours to load, add --allow-host {host}",
            )
