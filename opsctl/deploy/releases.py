"""The stack's updates, newest first, and which of them runs by the platform's own word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.deploy.record import good_images
from opsctl.deploy.running import FINDERS
from opsctl.deploy.verdict import judge
from opsctl.errors import NotDeployed, OpsctlError
from opsctl.output import write_table
from opsctl.stack import Release, read_delivery
from opsctl.stack_config import read_stack_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from rich.console import Console

    from opsctl.deploy.engine import Engine, Update
    from opsctl.deploy.verdict import Verdict
    from opsctl.project import Project

    Costs = Mapping[int, Decimal | None]


def verdict_now(project: Project, stack: str, environ: Mapping[str, str]) -> Verdict | OpsctlError:
    """Whether what the stack says runs is what runs; the error where nobody could be asked."""
    try:
        delivery = read_delivery(project, stack, environ)
        return judge(delivery.release or Release(), FINDERS[delivery.topology](delivery))
    except OpsctlError as exc:
        return exc


def rollback_target(engine: Engine, to: str | None = None) -> str:
    """The image that is gone back to: `to`, that of the update `to`, or the newest that did not fail and isn't current.

    Raises:
        NotDeployed: there is none.
    """
    if to is not None and to.isdecimal():
        images = {update.number: update.image for update in engine.updates()}
        if (image := images.get(int(to))) is None:
            raise NotDeployed(
                f"release {to} of stack '{engine.name}' has no image",
                next_step=f"see `opsctl releases -s {engine.name}`",
            )
        return image
    if to is not None:
        return to
    current = engine.image()
    for image in good_images(engine):
        if image != current:
            return image
    raise NotDeployed(
        f"stack '{engine.name}' has no earlier image than {current} that did not fail",
        next_step="name one: `opsctl rollback --to IMAGE`",
    )


def prices_of(project: Project, stack: str, updates: Sequence[Update]) -> Costs:
    """USD a month of each release by its number; empty where the stack file can't be read."""
    from opsctl.deploy.price import Prices  # noqa: PLC0415 - Pulumi and its AWS modules

    try:
        prices = Prices(stack, read_stack_config(project, stack))
    except OpsctlError:
        return {}
    return {each.number: prices.of(each.config) for each in updates}


def document(
    updates: Sequence[Update], now: Verdict | OpsctlError, costs: Costs, words: Mapping[int, str]
) -> dict[str, object]:
    """Spell it as JSON; a public contract, version 1."""
    return {
        "version": 1,
        "now": {"status": "unknown", "why": str(now)}
        if isinstance(now, OpsctlError)
        else {"status": now.status, "why": now.why},
        "releases": [
            {
                "number": each.number,
                "at": each.at.isoformat(),
                "who": each.who,
                "image": each.image,
                "monthlyUsd": _usd(costs.get(each.number)) or None,
                "engine": each.result,
                "verdict": words.get(each.number),
                "changes": each.changes,
            }
            for each in updates
        ],
    }


def show(
    console: Console, updates: Sequence[Update], now: Verdict | OpsctlError, costs: Costs, words: Mapping[int, str]
) -> None:
    """Print them; the engine's word and the verdict are two columns, since they may differ."""
    rows = [
        (
            str(each.number),
            f"{each.at:%Y-%m-%d %H:%M}",
            each.who or "",
            each.image or "",
            _usd(costs.get(each.number)),
            each.result,
            words.get(each.number, ""),
            ", ".join(f"{count} {operation}" for operation, count in each.changes.items()) or "nothing",
        )
        for each in updates
    ]
    write_table(console, ("release", "at", "by", "image", "USD/month", "engine", "verdict", "changes"), rows, right=[4])
    console.print()
    if isinstance(now, OpsctlError):
        console.print(f"what runs is unknown: {now}", soft_wrap=True)
    else:
        console.print(f"{now.status}: {now.why}", soft_wrap=True)


def _usd(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:.2f}"
