"""The operator's yes: asked for on a terminal; without one, only `--yes` will do."""

from __future__ import annotations

import sys

import click

from opsctl.errors import NotUsable


def confirm(question: str, *, yes: bool, read: str) -> None:
    """Return only if it may be done.

    Args:
        question: asked on the terminal.
        yes: was given on the command line.
        read: what an operator without a terminal reads before giving it.

    Raises:
        NotUsable: there is no terminal to ask on.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotUsable("there is no terminal to ask for consent on", next_step=f"read {read}, then give --yes")
    click.confirm(question, abort=True, err=True)
