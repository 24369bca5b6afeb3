"""Ways to tell who calls: an API key, or nobody is asked. A bearer token of an identity provider is in tokens.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from service.access.caller import Caller
from service.access.credentials import presented
from service.errors import Unauthenticated

if TYPE_CHECKING:
    from service.access.key_book import KeyBook
    from service.access.refreshed import Refreshed

LONGEST_KEY_BYTES = 512  # every entry of the book hashes it
Headers = Iterable[tuple[bytes, bytes]]


class Authentication(Protocol):
    """Decides from the headers alone, before a body is read."""

    async def caller(self, headers: Headers) -> Caller:
        """Who sends the request.

        Raises:
            Unauthenticated: nobody that is known.
        """
        ...


class Nobody:
    """Everybody is the same caller."""

    async def caller(self, headers: Headers) -> Caller:  # noqa: ARG002 - the port's shape
        """The one without a name."""
        return Caller("")


class ApiKeys:
    """Callers are the names in the key book."""

    def __init__(self, book: Refreshed[KeyBook]) -> None:
        self._book = book

    async def caller(self, headers: Headers) -> Caller:
        """Whose key is presented."""
        key = presented(headers)
        book = await self._book.current()
        known = book.caller(key) if len(key) <= LONGEST_KEY_BYTES else None
        if known is None:
            raise Unauthenticated("the API key is not known here, or no longer; ask the operator for another")
        return known
