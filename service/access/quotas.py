"""How often a caller may call: its own limit or everybody's, counted before anything is done for it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.access.windows import Window, Windows
from service.errors import LimitExceeded

if TYPE_CHECKING:
    from service.access.caller import Caller, Limits

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Quotas:
    """`default` is for callers whose key says nothing."""

    windows: Windows
    default: Limits

    async def admit(self, caller: Caller) -> None:
        """Count one request.

        Raises:
            LimitExceeded: it is one too many; says when the next may come.
        """
        limit = caller.limits.over(self.default).requests_per_minute
        if limit is None:
            return
        taken = await self.windows.take(Window(window_key("requests", caller), MINUTE_S, limit), 1)
        if not taken.fits:
            raise LimitExceeded(
                f"requestsPerMinute: {limit} requests a minute are allowed to this key", retry_after_s=taken.wait_s
            )


def window_key(what: str, caller: Caller) -> str:
    """A caller's name may be a person's, and is nobody's business in a cache."""
    return f"{what}:{hashlib.sha256(caller.name.encode()).hexdigest()[:32]}"
