"""One check of a preflight, how a list of them is shown, and what follows from one that does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from opsctl.errors import CheckFailed, OpsctlError
from opsctl.output import write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from rich.console import Console

    T = TypeVar("T")

Status = Literal["ok", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        fix: the command, key or flag that mends it; None where there is nothing to mend.
    """

    name: str
    status: Status
    evidence: str
    fix: str | None = None


def asked(question: Callable[[], T]) -> T | OpsctlError:
    """The answer, or the error that there was instead."""
    try:
        return question()
    except OpsctlError as exc:
        return exc


def unknown(name: str, error: OpsctlError) -> Check:
    """A check whose fact could not be asked for: no failure, and no pass."""
    return Check(name, "unknown", error.problem, error.next_step)


def show(console: Console, checks: Sequence[Check]) -> None:
    """Print the checks."""
    rows = [(each.name, each.status, each.evidence, each.fix or "") for each in checks]
    write_table(console, ("check", "", "found", "fix"), rows)


def refuse_failed(checks: Sequence[Check]) -> None:
    """Stop before anything is created.

    Raises:
        CheckFailed: names the checks that don't hold.
    """
    failed = [each.name for each in checks if each.status == "failed"]
    if failed:
        raise CheckFailed(
            f"{', '.join(failed)} would not hold; nothing was created",
            next_step="run the fixes above, then run it again",
        )


def document(checks: Sequence[Check]) -> list[dict[str, object]]:
    """Spell the checks as JSON; part of public contracts."""
    return [{"name": each.name, "status": each.status, "evidence": each.evidence, "fix": each.fix} for each in checks]
