"""The operator's yes, before anything changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.consent import confirm
from opsctl.deploy.report import spelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from opsctl.deploy.engine import Changes
    from opsctl.deploy.price import Price


def ask(talk: Console, stack: str, *, yes: bool) -> Callable[[Changes, Price | None], None]:
    """Give a function that shows the changes and returns only if they may be made.

    It asks on a terminal; without one, only `yes` will do.
    """

    def consent(changes: Changes, price: Price | None) -> None:
        talk.print(f"stack {stack}: {spelled(changes)}" + (f"; {price}" if price else ""))
        confirm("Make these changes?", yes=yes, read="the preview")

    return consent
