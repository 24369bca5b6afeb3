"""What a call to another stack carries, so that both sides' traces and logs can be joined."""

from __future__ import annotations

from contextvars import ContextVar, Token

Headers = dict[str, str]

_OUTGOING: ContextVar[Headers | None] = ContextVar("outgoing", default=None)


def carry(headers: Headers) -> Token[Headers | None]:
    """Give every call that the current request makes to another stack these headers."""
    return _OUTGOING.set(headers)


def drop(token: Token[Headers | None]) -> None:
    """The request is over."""
    _OUTGOING.reset(token)


def outgoing() -> Headers:
    """Headers of the request that is running."""
    return _OUTGOING.get() or {}
