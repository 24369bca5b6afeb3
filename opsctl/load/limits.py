"""When a run ends before its schedule does: too many failures, or too much money. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.load.outcome import GOOD

if TYPE_CHECKING:
    from opsctl.load.record import Record

LOOK_BACK_S = 10.0
LEAST_REQUESTS = 50  # fewer say nothing


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may do at most.

    Attributes:
        failed_percent: of the requests of the last seconds; None: no such rule.
        usd: that the answers may have cost, as the service says it; None: no cap.
        spent_usd: what runs before cost, where the cap is for several.
    """

    failed_percent: float | None = None
    usd: Decimal | None = None
    spent_usd: Decimal = Decimal()

    def broken(self, record: Record) -> str | None:
        """Why the run has to end now; None while it may go on."""
        return self.unaffordable(record) or self._failing(record)

    def unaffordable(self, record: Record) -> str | None:
        """Why no more may be spent, which says nothing about the service."""
        if self.usd is None:
            return None
        if record.unpriced:
            return "an answer did not say what it cost, so the spending cap can't be kept"
        usd = self.spent_usd + record.usd
        return f"the answers cost {usd:f} USD, the cap is {self.usd:f}" if usd >= self.usd else None

    def _failing(self, record: Record) -> str | None:
        if self.failed_percent is None:
            return None
        recent = record.latest(LOOK_BACK_S)
        sent = sum(tally.count() for tally in recent)
        failed = sent - sum(tally.count(GOOD) for tally in recent)
        if sent < LEAST_REQUESTS or failed * 100 < self.failed_percent * sent:
            return None
        return f"{failed} of the last {sent} requests failed"


@dataclass(frozen=True, slots=True)
class Promise:
    """What a run is judged by when it has ended; without a single good answer it is broken whatever was promised.

    Attributes:
        failed_percent: the error budget; a refusal by a limit (429, 503) is a failure like any other.
        p95_s: of the good answers, from when each was meant to start.
    """

    failed_percent: float
    p95_s: float | None = None

    def broken(self, record: Record) -> list[str]:
        """What was not kept, in words."""
        sent, good = record.total.count(), record.total.count(GOOD)
        if not good:
            return [f"not one of {sent} requests was answered well" if sent else "no request was sent"]
        failed = 100 * (sent - good) / sent
        found = []
        if failed > self.failed_percent:
            found.append(f"{failed:.2f} % failed, the error budget is {self.failed_percent:g} %")
        p95_s = record.total.of(GOOD).percentile_ms(95) / 1000
        if self.p95_s is not None and p95_s > self.p95_s:
            found.append(f"p95 is {p95_s:.2f} s, promised are {self.p95_s:g} s")
        return found
