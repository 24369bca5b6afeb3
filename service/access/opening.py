"""Composition of access: from Settings, how callers are told apart and what each may use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.access.authentication import ApiKeys, Authentication, Nobody
from service.access.key_book import KeyBook
from service.access.refreshed import refreshed
from service.errors import StartupError

if TYPE_CHECKING:
    from service.settings import Settings

ARN = "arn:"
UNKNOWN_KEY_INTERVAL_S = 10.0  # tokens with invented key ids make the provider no more than six requests a minute


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call."""

    authentication: Authentication


@asynccontextmanager
async def open_access(settings: Settings) -> AsyncIterator[Access]:
    """Read what callers are recognised by, and keep reading it.

    Raises:
        StartupError: it can't be read, or is not what it should be.
    """
    async with AsyncExitStack() as stack:
        yield Access(await _authentication(settings, stack))


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
