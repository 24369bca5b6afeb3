"""An OpenID Connect provider's published keys, found by discovery."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self

import httpx

from service.errors import StartupError

CONNECT_S, TOTAL_S = 2.0, 5.0
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
WELL_KNOWN = "/.well-known/openid-configuration"


class OidcProvider:
    """One issuer. What it publishes is fetched over TLS, or from this machine."""

    def __init__(self, client: httpx.AsyncClient, issuer: str) -> None:
        self._client = client
        self._issuer = issuer

    @classmethod
    def open(cls, issuer: str) -> Self:
        """Make the client; nothing is sent before the first call.

        Raises:
            StartupError: the issuer is no address to trust.
        """
        if not _trustworthy(issuer):
            raise StartupError(f"RAG_OIDC_ISSUER: {issuer} is no https:// address; give the issuer's, as it writes it")
        return cls(httpx.AsyncClient(timeout=httpx.Timeout(TOTAL_S, connect=CONNECT_S)), issuer)

    async def key_set(self) -> Mapping[str, Any]:
        """The JWK set that it signs with now.

        Raises:
            OSError: no answer.
            ValueError: an answer that can't be right.
        """
        try:
            async with asyncio.timeout(TOTAL_S):
                described = await self._get(self._issuer.rstrip("/") + WELL_KNOWN)
                if described.get("issuer") != self._issuer:
                    raise ValueError("what it publishes names another issuer; is RAG_OIDC_ISSUER exactly its own name?")
                address = described.get("jwks_uri")
                if not isinstance(address, str) or not _trustworthy(address):
                    raise ValueError("the address of its keys is not https://")
                return await self._get(address)
        except (httpx.HTTPError, TimeoutError) as exc:
            raise OSError(f"{self._issuer} gave no answer ({type(exc).__name__})") from exc

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.aclose()

    async def _get(self, url: str) -> Mapping[str, Any]:
        response = await self._client.get(url)
        response.raise_for_status()
        document = response.json()
        if not isinstance(document, dict):
            raise ValueError("it answered something that is no JSON object")  # noqa: TRY004 - of the answer, not of ours
        return document


def _trustworthy(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return bool(parsed.host) and (parsed.scheme == "https" or (parsed.scheme == "http" and parsed.host in LOOPBACK))
