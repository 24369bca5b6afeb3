"""What was opened with a secret is opened anew when the secret changes: a rotation needs no restart.

Whoever holds an adapter holds a stand-in for it, which hands every call to the adapter that is open now. The one before
is closed once the answers that it may still be giving have ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from pydantic import SecretStr

from service.access.refreshed import Refreshed
from service.errors import StartupError
from service.settings import secret_names

if TYPE_CHECKING:
    from service.settings import Settings

log = logging.getLogger(__name__)


class Closable(Protocol):
    """An adapter with a pool of connections."""

    async def aclose(self) -> None:
        """Close the pool."""
        ...


T = TypeVar("T", bound=Closable)
S = TypeVar("S", SecretStr, SecretStr | None)


class _StandIn:
    """Passes everything on to what is open now; a call that has begun keeps what it began with."""

    def __init__(self, field: str, open_: Callable[[Any], Closable], secret: SecretStr | None) -> None:
        self._field = field
        self._open = open_
        self._inner = open_(secret)
        self._leaving: set[asyncio.Task[None]] = set()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the adapter has
        return getattr(self._inner, name)

    def renew(self, secret: SecretStr, *, after_s: float) -> None:
        """Open with another secret; what was open is closed after so many seconds.

        Raises:
            StartupError: it can't be opened with that; what is open stays.
        """
        before, self._inner = self._inner, self._open(secret)
        leaving = asyncio.create_task(_closed(before, after_s))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def aclose(self) -> None:
        """Close what is open, and at once what was to be closed later."""
        for leaving in tuple(self._leaving):
            leaving.cancel()
            with suppress(asyncio.CancelledError):
                await leaving
        await self._inner.aclose()


async def _closed(adapter: Closable, after_s: float) -> None:
    try:
        await asyncio.sleep(after_s)
    finally:
        await adapter.aclose()


class Renewals:
    """The adapters that were opened with secrets, by the secret's field in the settings."""

    def __init__(self, *, linger_s: float) -> None:
        self._linger_s = linger_s
        self._held: list[tuple[str, _StandIn]] = []

    def open(self, field: str, secret: S, open_: Callable[[S], T]) -> T:
        """Open an adapter, now and whenever the secret changes.

        Raises:
            StartupError: as `open_`.
        """
        stand_in = _StandIn(field, open_, secret)
        self._held.append((field, stand_in))
        return cast("T", stand_in)

    def renew(self, changed: Mapping[str, SecretStr]) -> None:
        """Open anew what was opened with one of these fields; never raises, since it ends no request."""
        for field, stand_in in self._held:
            if field in changed:
                try:
                    stand_in.renew(changed[field], after_s=self._linger_s)
                except StartupError as exc:
                    log.warning("the new %s is of no use, the last good one holds: %s", field, exc.detail)
                else:
                    log.info("%s has changed: connected anew", field)


@asynccontextmanager
async def rotating(
    settings: Settings, fetch: Callable[[Mapping[str, str]], Mapping[str, str]], renewals: Renewals
) -> AsyncIterator[None]:
    """Read the secrets that `settings` refers to again and again while the block runs."""
    if not settings.secrets_from:
        yield
        return
    reading = asyncio.create_task(_watch(settings, fetch, renewals).keep())
    try:
        yield
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading


def _watch(
    settings: Settings, fetch: Callable[[Mapping[str, str]], Mapping[str, str]], renewals: Renewals
) -> Refreshed[dict[str, str]]:
    names = secret_names()
    fields = {name: names[name] for name in settings.secrets_from}
    known: dict[str, str] = {
        name: secret.get_secret_value()
        for name, field in fields.items()
        if isinstance(secret := getattr(settings, field), SecretStr)
    }

    async def read() -> dict[str, str]:
        found = dict(await asyncio.to_thread(fetch, settings.secrets_from))
        renewals.renew({fields[name]: SecretStr(value) for name, value in found.items() if known.get(name) != value})
        known.update(found)
        return found

    return Refreshed(read, known, every_s=settings.secrets_ttl_s, what="a secret")
