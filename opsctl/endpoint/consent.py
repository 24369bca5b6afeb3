"""The operator's yes, before an endpoint is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.consent import confirm
from opsctl.endpoint.steps import changes, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from opsctl.endpoint.run import Report


def ask(talk: Console, *, yes: bool, preflight: Callable[[], None] | None = None) -> Callable[[Report], None]:
    """Give a function that shows what was changed by others and what would be done, and returns if it may be.

    It asks on a terminal; without one, only `yes` will do. `preflight` shows the bill first, and raises where the
    account could not carry it out: that is no matter of consent.
    """

    def consent(report: Report) -> None:
        for difference in report.drift:
            talk.print(f"drift: {difference}; somebody changed it, this run puts it right")
        talk.print(f"endpoint {report.endpoint} of stack {report.stack}:")
        for step in report.steps:
            talk.print(f"  {told(step)}")
            for change in changes(step):
                talk.print(f"    {change}")
        if preflight is not None:
            preflight()
        confirm("Do this?", yes=yes, read="the plan (--dry-run)")

    return consent
