"""The public keys that an identity provider signs with, by id: kept while it is down, fetched when one is new."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jwt

from service.errors import NotReady

# Asymmetric only: with HS* a public key would be a password that everybody knows.
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"})

log = logging.getLogger(__name__)

Fetch = Callable[[], Awaitable[Mapping[str, Any]]]


class SigningKeys:
    """Keys that tokens may be signed with; one that is not known is looked for once per `interval_s` at most."""

    def __init__(self, fetch: Fetch, *, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._interval_s = interval_s
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetching = asyncio.Lock()
        self._asked: float | None = None

    async def renew(self) -> None:
        """Fetch the keys; where that fails, those that are known stay."""
        self._asked = self._clock()
        try:
            self._keys = usable(await self._fetch())
        except (OSError, ValueError) as exc:
            log.warning("the identity provider's keys can't be read, those known stay: %s", exc)

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of that id; without an id, the only one there is.

        Raises:
            NotReady: the provider has not given any key yet.
        """
        if key_id not in self._keys:
            async with self._fetching:  # whoever waited here may find what the first one fetched
                if key_id not in self._keys and self._may_ask():
                    await self.renew()
        if not self._keys:
            raise NotReady("the identity provider has not given its keys yet", retry_after_s=self._interval_s)
        return self._keys.get(key_id)

    def _may_ask(self) -> bool:
        return self._asked is None or self._clock() - self._asked >= self._interval_s


def usable(key_set: Mapping[str, Any]) -> dict[str | None, jwt.PyJWK]:
    """Of a JWK set, the public keys for signatures by an accepted algorithm, by id; a single one also by no id.

    Raises:
        ValueError: there is none.
    """
    entries = key_set.get("keys")
    found: dict[str | None, jwt.PyJWK] = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(entry)
        except jwt.PyJWTError:  # a kind of key that is not known here
            continue
        if key.algorithm_name in ALGORITHMS:
            found[key.key_id] = key
    if not found:
        raise ValueError("no key for signatures by RS* or ES* among those that it publishes")
    return found | ({None: next(iter(found.values()))} if len(found) == 1 else {})
