"""The operator's yes, before anything changes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from opsctl.deploy.report import spelled
from opsctl.errors import NotUsable

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
        if yes:
            return
        if not sys.stdin.isatty():
            raise NotUsable("there is no terminal to ask for consent on", next_step="read the preview, then give --yes")
        click.confirm("Make these changes?", abort=True, err=True)

    return consent
