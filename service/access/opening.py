"""Composition of access: from Settings, how callers are told apart and what each may use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.access.authentication import ApiKeys, Authentication, Nobody
from service.access.caller import Limits
from service.access.key_book import KeyBook
from service.access.quotas import Quotas
from service.access.refreshed import refreshed
from service.access.windows import LocalWindows, SharedWindows, Windows
from service.errors import StartupError
from service.resilience.budgets import CACHE_S

if TYPE_CHECKING:
    from service.resilience import Breakers
    from service.settings import Settings

ARN = "arn:"
UNKNOWN_KEY_INTERVAL_S = 10.0  # tokens with invented key ids make the provider no more than six requests a minute


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call, and how often."""

    authentication: Authentication
    quotas: Quotas


@asynccontextmanager
async def open_access(settings: Settings, breakers: Breakers) -> AsyncIterator[Access]:
    """Read what callers are recognised by, and keep reading it; limits are counted in Redis where there is one.

    Raises:
        StartupError: it can't be read, or is not what it should be.
    """
    async with AsyncExitStack() as stack:
        authentication = await _authentication(settings, stack)
        windows = _windows(settings, stack, breakers)
        yield Access(authentication, Quotas(windows, Limits(settings.requests_per_minute, settings.usd_per_hour)))


async def _authentication(settings: Settings, stack: AsyncExitStack) -> Authentication:
    if settings.auth == "api-keys" and settings.api_keys_from is not None:
        return await _api_keys(settings.api_keys_from, settings.api_keys_ttl_s, stack)
    if settings.auth == "oidc" and settings.oidc_issuer is not None and settings.oidc_audience is not None:
        return await _oidc(settings.oidc_issuer, settings.oidc_audience, settings.oidc_keys_ttl_s, stack)
    return Nobody()


async def _api_keys(source: str, ttl_s: float, stack: AsyncExitStack) -> ApiKeys:
    document = await asyncio.to_thread(_reader, source)

    async def read() -> KeyBook:
        return KeyBook.parse(await asyncio.to_thread(document))

    try:
        book = await stack.enter_async_context(refreshed(read, every_s=ttl_s, what="the key book"))
    except OSError as exc:
        raise StartupError(f"RAG_API_KEYS_FROM: {source} can't be read: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise StartupError(f"RAG_API_KEYS_FROM: {source} is no key book: {exc}; see docs/operations.md") from exc
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


def _reader(source: str) -> Callable[[], bytes]:
    if not source.startswith(ARN):
        return Path(source).read_bytes
    from service.adapters.secrets_manager import Secret  # noqa: PLC0415 - boto3 loads when it is asked for

    return Secret(source).read


def _windows(settings: Settings, stack: AsyncExitStack, breakers: Breakers) -> Windows:
    if settings.redis_url is None:
        return LocalWindows()
    from service.adapters.redis_windows import STAGE, RedisWindows  # noqa: PLC0415 - redis loads when it is asked for

    shared = RedisWindows.open(
        settings.redis_url, connections=settings.redis_connections, timeout_s=settings.redis_timeout_s
    )
    stack.push_async_callback(shared.aclose)
    return SharedWindows(shared, LocalWindows(), breakers.add("redis-limits", stage=STAGE, limit_s=CACHE_S))
