"""Who calls, and what they may use."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one caller; None is no limit."""

    requests_per_minute: int | None = None
    usd_per_hour: Decimal | None = None

    def over(self, default: Limits) -> Limits:
        """These, with the default's where they say nothing."""
        return Limits(
            default.requests_per_minute if self.requests_per_minute is None else self.requests_per_minute,
            default.usd_per_hour if self.usd_per_hour is None else self.usd_per_hour,
        )


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: a key's name or a token's subject; callers of one name share answers and limits."""

    name: str
    limits: Limits = Limits()
