"""What changes between two stacks, or between a report that was kept and the stack now; fit for a pull request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from opsctl.cost.mistakes import reasons
from opsctl.cost.views import bill
from opsctl.errors import NotUsable
from opsctl.sheet import Column, Rate, Sheet, Usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from opsctl.sheet import Cell

COLUMNS = (
    Column("what"),
    Column("was", figures=True),
    Column("is", figures=True),
    Column("change", figures=True),
    Column("why"),
)


class _Line(BaseModel):
    id: str
    quantity: Decimal
    unitPrice: Decimal | None  # noqa: N815 - the report's contract
    monthlyUsd: Decimal | None  # noqa: N815


class _Totals(BaseModel):
    monthlyUsd: Decimal  # noqa: N815


class KeptReport(BaseModel):
    """What is read of a report; its other keys are shown to nobody."""

    stack: str
    lines: tuple[_Line, ...]
    totals: _Totals
    incomplete: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two report documents, before and after."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def growth(self) -> Decimal | None:
        """Share by which the total grew; None where it was nothing."""
        was, now = (_usd(each["totals"]["monthlyUsd"]) or Decimal() for each in (self.before, self.after))
        return (now - was) / was if was else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """What has no price now and was not missing before: the change leaves it out."""
        return tuple(each for each in self.after["incomplete"] if each not in self.before["incomplete"])


def kept(file: Path) -> Mapping[str, Any]:
    """A report that `--format json --out FILE` wrote.

    Raises:
        NotUsable: it is no such document.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        KeptReport.model_validate(found)
    except ValidationError as exc:
        raise _no_report(file, reasons(exc)) from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise _no_report(file, str(exc)) from exc
    return dict(found)


def _no_report(file: Path, why: str) -> NotUsable:
    return NotUsable(
        f"--diff {file}: {why}", next_step="give a stack file, or a report of `opsctl cost-report --format json`"
    )


def sheet(found: Difference) -> Sheet:
    """Added, removed and changed lines, the largest change first."""
    rows = sorted(_rows(found), key=lambda row: -abs(_value(row[3])))
    was, now = (_usd(each["totals"]["monthlyUsd"]) or Decimal() for each in (found.before, found.after))
    grown = "" if found.growth is None else f"{found.growth * 100:+.1f} %"
    names = [str(each["stack"]) for each in (found.before, found.after)]
    incomplete = tuple(str(each) for each in found.after["incomplete"])
    return Sheet(
        title=f"stack {names[1]} against {names[0]}, USD a month",
        columns=COLUMNS,
        rows=tuple(rows),
        sums=(("total", Usd(was), Usd(now), Usd(now - was), grown),),
        notes=(*(f"incomplete: {each}" for each in incomplete), *_past(found), *_warned(found)),
        document={
            "version": 1,
            "before": found.before["totals"],
            "after": found.after["totals"],
            "growth": None if found.growth is None else f"{found.growth:.6f}",
            "unknown": list(found.unknown),
            "lines": [
                {"id": row[0], "was": _json(row[1]), "is": _json(row[2]), "change": _json(row[3]), "why": row[4]}
                for row in rows
            ],
        },
        incomplete=incomplete,
    )


def overgrown(document: Mapping[str, Any], limit: Decimal) -> str | None:
    """Why the change of a sheet is over `limit`, a share; None where it is not. What can't be told is over it."""
    if document["unknown"]:
        return f"how much the cost grows is not known: {'; '.join(document['unknown'])}"
    was, now = (Decimal(document[side]["monthlyUsd"]) for side in ("before", "after"))
    if now <= was * (1 + limit):
        return None
    grown = f"by {(now / was - 1) * 100:.1f} %" if was else "from nothing"
    return f"the cost grows {grown}, over the {(limit * 100).normalize():f} % of --fail-over"


def _past(found: Difference) -> list[str]:
    """What had no price before and has one, or is gone, now: its line only seems to grow or shrink."""
    return [
        f"incomplete before: {each}" for each in found.before["incomplete"] if each not in found.after["incomplete"]
    ]


def _warned(found: Difference) -> list[str]:
    return [f"warning: {each}" for each in found.after.get("warnings", ())]


def _rows(found: Difference) -> Iterator[tuple[Cell, ...]]:
    before, after = (
        {_key(line, each["stack"]): line for line in each["lines"]} for each in (found.before, found.after)
    )
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        was, now = (None if each is None else _usd(each["monthlyUsd"]) for each in (old, new))
        if reason := _reason(old, new):
            change = (now or Decimal()) - (was or Decimal())
            yield (key, Usd(was) if old else "", Usd(now) if new else "", Usd(change), reason)


def _reason(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    changed = [
        f"{name} {_short(old[key])} -> {_short(new[key])}"
        for name, key in (("quantity", "quantity"), ("price", "unitPrice"))
        if _usd(old[key]) != _usd(new[key])
    ]
    return "; ".join(changed)


def _key(line: Mapping[str, Any], stack: str) -> str:
    """A line's id without the stack's name, which is all that differs where two stacks are alike."""
    return str(line["id"]).removeprefix(f"rag-platform-{stack}-")


def _short(figure: str | None) -> str:
    return str(Rate(_usd(figure)))


def _usd(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _value(cell: Cell) -> Decimal:
    return cell.value or Decimal() if isinstance(cell, Usd) else Decimal()


def _json(cell: Cell) -> str | None:
    return bill.exact(cell.value) if isinstance(cell, Usd) else None
