"""Bills that were read once: a closed month never changes and is kept, the running one for some hours."""

from __future__ import annotations

import calendar
import datetime as dt
import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.aws.billing import Billed
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opsctl.aws.billing import Answer

FRESH = dt.timedelta(hours=6)
SETTLES = dt.timedelta(days=5)  # the last charges of a month arrive late
TAG = "stack"


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month.

    Attributes:
        begin: its first day; end: the first day that is not asked for, at most `today`.
    """

    begin: dt.date
    end: dt.date
    closed: bool

    @property
    def hours(self) -> int:
        """Of the part that is asked for."""
        return (self.end - self.begin).days * 24

    def __str__(self) -> str:
        """As it is written on a command line."""
        return f"{self.begin:%Y-%m}"


def month(text: str, today: dt.date) -> Month:
    """`2026-10`.

    Raises:
        NotUsable: it is no month, or none of it is over.
    """
    try:
        begin = dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError as exc:
        raise NotUsable(f"--month {text}: is no month", next_step="write it as 2026-10") from exc
    after = begin + dt.timedelta(days=calendar.monthrange(begin.year, begin.month)[1])
    if begin >= today:
        raise NotUsable(f"--month {text}: no day of it is over yet", next_step="give an earlier one")
    return Month(begin, min(after, today), closed=after + SETTLES <= today)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a stack was billed for, what nobody's tag is on, and how many paid calls it took to learn that."""

    own: tuple[Billed, ...]
    untagged: tuple[Billed, ...]
    pages: int


@dataclass(frozen=True, slots=True)
class Bills:
    """A folder of bills, and how to ask for one that is not in it."""

    folder: Path
    ask: Callable[[dt.date, dt.date, str, str | None], Answer]

    def kept(self, stack: str, of: Month, now: dt.datetime) -> Bill | None:
        """The bill from the folder, where it may still be believed."""
        file = self._file(stack, of)
        if not file.is_file():
            return None
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if not found["closed"] and now - dt.datetime.fromisoformat(found["read"]) > FRESH:
                return None
            own, untagged = (tuple(_billed(row) for row in found[name]) for name in ("own", "untagged"))
        except (OSError, ValueError, KeyError, TypeError, ArithmeticError):  # damaged, as by a write that was cut off
            return None  # then it is asked for again, which the operator is told the price of
        return Bill(own, untagged, pages=0)

    def read(self, stack: str, of: Month, now: dt.datetime) -> Bill:
        """Ask for it: two paid calls or more; and keep it.

        Raises:
            CloudRefused, TimedOut
        """
        own, untagged = self.ask(of.begin, of.end, TAG, stack), self.ask(of.begin, of.end, TAG, None)
        self.folder.mkdir(parents=True, exist_ok=True)
        known = {
            "read": now.isoformat(),
            "closed": of.closed,
            "own": [asdict(row) for row in own.rows],
            "untagged": [asdict(row) for row in untagged.rows],
        }
        self._file(stack, of).write_text(json.dumps(known, default=str), encoding="utf-8")
        return Bill(own.rows, untagged.rows, own.pages + untagged.pages)

    def _file(self, stack: str, of: Month) -> Path:
        return self.folder / f"{stack}-{of}.json"


def _billed(row: dict[str, str]) -> Billed:
    money = {name: Decimal(row[name]) for name in ("quantity", "amortized_usd", "unblended_usd")}
    return Billed(service=row["service"], usage_type=row["usage_type"], unit=row["unit"], **money)
