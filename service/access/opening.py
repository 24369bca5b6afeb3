"""Composition of access: from Settings, how callers are told apart and what each may use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from service.access.authentication import ApiKeys, Authentication, Nobody
from service.access.caller import Limits
from service.access.kept import reader
from service.access.key_book import KeyBook
from service.access.quotas import Quotas
from service.access.refreshed import refreshed
from service.access.spend import Spending
from service.access.windows import LocalWindows, SharedWindows, Windows
from service.errors import StartupError
from service.prices import Prices
from service.renewals import Renewals
from service.resilience.budgets import cache_s

if TYPE_CHECKING:
    from service.resilience import Breakers
    from service.settings import Settings

UNKNOWN_KEY_INTERVAL_S = 10.0  # tokens with invented key ids make the provider no more than six requests a minute


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call, how often, and for how much."""

    authentication: Authentication
    quotas: Quotas
    spending: Spending


@asynccontextmanager
async def open_access(
    settings: Settings, breakers: Breakers, renewals: Renewals | None = None
) -> AsyncIterator[Access]:
    """Read what callers are recognised by, and keep reading it; limits are counted in Redis where there is one.

    Raises:
        StartupError: it can't be read, or is not what it should be.
    """
    async with AsyncExitStack() as stack:
        default = Limits(settings.requests_per_minute, settings.usd_per_hour)
        if default.usd_per_hour is not None and (reason := _unpriced(settings)):
            raise StartupError(f"RAG_USD_PER_HOUR: {reason}")
        authentication = await _authentication(settings, stack)
        windows = _windows(settings, stack, breakers, renewals or Renewals(linger_s=settings.deadline_s))
        spending = Spending(windows, default)
        stack.push_async_callback(spending.aclose)
        yield Access(authentication, Quotas(windows, default), spending)


async def _authentication(settings: Settings, stack: AsyncExitStack) -> Authentication:
    if settings.auth == "api-keys" and settings.api_keys_from is not None:
        return await _api_keys(settings, settings.api_keys_from, stack)
    if settings.auth == "oidc" and settings.oidc_issuer is not None and settings.oidc_audience is not None:
        return await _oidc(settings.oidc_issuer, settings.oidc_audience, settings.oidc_keys_ttl_s, stack)
    return Nobody()


async def _api_keys(settings: Settings, source: str, stack: AsyncExitStack) -> ApiKeys:
    document = await asyncio.to_thread(reader, source, "RAG_API_KEYS_FROM")
    unpriced = _unpriced(settings)

    async def read() -> KeyBook:
        book = KeyBook.parse(await asyncio.to_thread(document))
        if unpriced and any(key.usd_per_hour is not None for key in book.keys):
            raise ValueError(f"usdPerHour of a key: {unpriced}")
        return book

    reading = refreshed(read, every_s=settings.api_keys_ttl_s, what="the key book")
    try:
        book = await stack.enter_async_context(reading)
    except OSError as exc:
        raise StartupError(f"RAG_API_KEYS_FROM: {source} can't be read: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise StartupError(f"RAG_API_KEYS_FROM: {source} is no usable key book: {exc}; see docs/operations.md") from exc
    return ApiKeys(book)


async def _oidc(issuer: str, audience: str, ttl_s: float, stack: AsyncExitStack) -> Authentication:
    """A provider that is down is no reason not to start: until it is up, callers are told to come back."""
    from service.access.signing_keys import SigningKeys  # noqa: PLC0415 - cryptography loads when it is asked for
    from service.access.tokens import OidcTokens  # noqa: PLC0415
    from service.adapters.oidc_provider import OidcProvider  # noqa: PLC0415

    provider = OidcProvider.open(issuer)
    stack.push_async_callback(provider.aclose)
    keys = SigningKeys(provider.key_set, interval_s=UNKNOWN_KEY_INTERVAL_S)
    await stack.enter_async_context(refreshed(keys.renew, every_s=ttl_s, what="the identity provider's keys"))
    return OidcTokens(keys, issuer=issuer, audience=audience)


def _unpriced(settings: Settings) -> str:
    """Why a spending limit can't be kept, where it can't."""
    missing = Prices.of(settings).missing(settings)
    return f"a limit needs the price of every paid model; set {' and '.join(missing)}" if missing else ""


def _windows(settings: Settings, stack: AsyncExitStack, breakers: Breakers, renewals: Renewals) -> Windows:
    if settings.redis_url is None:
        return LocalWindows()
    from service.adapters.redis_windows import STAGE, RedisWindows  # noqa: PLC0415 - redis loads when it is asked for

    open_ = partial(RedisWindows.open, connections=settings.redis_connections, timeout_s=settings.redis_timeout_s)
    shared = renewals.open("redis_url", settings.redis_url, open_)
    stack.push_async_callback(shared.aclose)
    return SharedWindows(shared, LocalWindows(), breakers.add("redis-limits", stage=STAGE, limit_s=cache_s(settings)))
