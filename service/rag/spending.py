"""A request's money: the most that its calls can cost is set aside before the first, the rest given back at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from service.ports import Usage
from service.prices import FREE

if TYPE_CHECKING:
    from service.prices import TokenPrice
    from service.rag.trace import Trace

# Beyond the question, what a call of the query model sends (task and schema, in bytes) and may get back (in tokens).
# Bytes, since a byte-level tokenizer never makes more tokens of a text than it has bytes.
QUERY_MODEL_BYTES = 1000
AUTHOR_TOKENS = 64
VARIANT_TOKENS = 64


@dataclass(slots=True)
class Charge:
    """One paid call; `usd` is None until its cost is known, which it may never be."""

    price: TokenPrice | None
    at_most: Usage
    usd: Decimal | None = None

    def settle(self, usage: Usage) -> None:
        """The model counted these tokens; none at all says that it did not count."""
        if self.price is not None and usage != Usage():
            self.usd = self.price.of(usage)

    @property
    def owed_usd(self) -> Decimal:
        """What a limit counts: the most, until the cost is known; what has no price has no limit."""
        return self.usd if self.usd is not None else usd_of(self.at_most, self.price)


class Reservation(Protocol):
    """Money that was set aside."""

    def settle(self, usd: Decimal) -> None:
        """Keep what was spent and give back the rest, at once and without waiting."""
        ...


class Account(Protocol):
    """What a caller may spend."""

    async def reserve(self, usd: Decimal) -> Reservation:
        """Set it aside; LimitExceeded where it is not there."""
        ...


@asynccontextmanager
async def spending(account: Account | None, most_usd: Decimal, trace: Trace) -> AsyncIterator[None]:
    """Run the block on the caller's account; however it ends, what it owes is kept.

    Raises:
        LimitExceeded: the account does not hold `most_usd`.
    """
    if account is None or most_usd == 0:
        yield
        return
    reservation = await account.reserve(most_usd)
    try:
        yield
    finally:
        reservation.settle(trace.owed_usd)


def begin(price: TokenPrice | None, at_most: Usage) -> Charge:
    """The charge of a call that is about to be made."""
    return Charge(price, at_most, Decimal(0) if price == FREE else None)


def self_query_at_most(query: str) -> Usage:
    """Tokens that reading the query for an author can take."""
    return Usage(len(query.encode()) + QUERY_MODEL_BYTES, AUTHOR_TOKENS)


def expansion_at_most(query: str, count: int) -> Usage:
    """The same for `count` other wordings."""
    return Usage(len(query.encode()) + QUERY_MODEL_BYTES, VARIANT_TOKENS * count)


def usd_of(usage: Usage, price: TokenPrice | None) -> Decimal:
    """What it costs; 0 where the price is not known: a limit on such a model is refused at start."""
    return price.of(usage) if price is not None else Decimal(0)
