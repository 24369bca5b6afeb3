"""What a caller may spend in an hour: set aside before the first paid call, corrected when the bill is known.

Since the most that a request can cost is set aside first, any number at once can't spend more than the limit together.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from service.access.quotas import window_key
from service.access.windows import Taken, Window, Windows
from service.errors import LimitExceeded, StageUnavailable

if TYPE_CHECKING:
    from service.access.caller import Caller, Limits

HOUR_S = 3600.0
NANO = 10**9  # windows count whole numbers


class Spending:
    """The accounts of all callers; `default` is for those whose key says nothing."""

    def __init__(self, windows: Windows, default: Limits) -> None:
        self._windows = windows
        self._default = default
        self._settling: set[asyncio.Task[None]] = set()

    def account(self, caller: Caller) -> LimitedAccount | None:
        """The caller's; None where nothing limits it."""
        limit = caller.limits.over(self._default).usd_per_hour
        if limit is None:
            return None
        return LimitedAccount(self, limit, Window(window_key("usd", caller), HOUR_S, _nano(limit)))

    async def take(self, window: Window, amount: int) -> Taken:
        """Count it where it fits."""
        return await self._windows.take(window, amount)

    def correct(self, window: Window, taken: Taken, by: int) -> None:
        """In a task of its own: a caller that has its answer, or has left, waits for no bookkeeping."""
        correcting = asyncio.create_task(_correct(window, taken, by))
        self._settling.add(correcting)
        correcting.add_done_callback(self._settling.discard)

    async def aclose(self) -> None:
        """Finish what is being corrected."""
        await asyncio.gather(*self._settling)


@dataclass(frozen=True, slots=True)
class LimitedAccount:
    """Account port over one window."""

    spending: Spending
    limit_usd: Decimal
    window: Window

    async def reserve(self, usd: Decimal) -> Hold:
        """Set it aside.

        Raises:
            LimitExceeded: it does not fit; says when it will.
        """
        amount = _nano(usd)
        taken = await self.spending.take(self.window, amount)
        if not taken.fits:
            raise LimitExceeded(
                f"usdPerHour: {self.limit_usd:f} USD an hour are allowed to this key, "
                f"and what is left of them does not cover the {usd:.6f} that this request can cost",
                retry_after_s=taken.wait_s,
            )
        return Hold(self, amount, taken)


@dataclass(frozen=True, slots=True)
class Hold:
    """Reservation port: what is held of an account."""

    account: LimitedAccount
    amount: int
    taken: Taken

    def settle(self, usd: Decimal) -> None:
        """Where the books can't be reached, the whole amount stays counted: never less than was spent."""
        if (by := _nano(usd) - self.amount) != 0:
            self.account.spending.correct(self.account.window, self.taken, by)


async def _correct(window: Window, taken: Taken, by: int) -> None:
    with suppress(StageUnavailable):
        await taken.by.correct(window, taken.bucket, by)


def _nano(usd: Decimal) -> int:
    return math.ceil(usd * NANO)
