"""`opsctl releases`: what was deployed, by whom, and what of it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.output import data_console, talk_console, working, write_json
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("releases")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack whose releases are listed.")
@click.option("--most", type=click.IntRange(min=1), default=10, show_default=True, help="How many.")
@click.option("--cost/--no-cost", default=True, help="Also what each costs a month, from its config (the default).")
@output_option
def releases(*, stack: str, most: int, cost: bool, form: Form) -> None:
    """List a stack's updates, newest first, with what each came to, and ask the platform what runs.

    A number of the list is what `opsctl rollback --to` takes.

    \b
    Example:
      opsctl releases --stack prod --most 5
    """  # noqa: D301 - click reads \b
    from opsctl.deploy import record  # noqa: PLC0415
    from opsctl.deploy.engine import open_engine  # noqa: PLC0415 - the engine's SDK: help must not wait for it
    from opsctl.deploy.releases import document, prices_of, show, verdict_now  # noqa: PLC0415

    settings, project = environment.load(), find_project()
    engine = open_engine(project, stack, settings.environ)
    updates = engine.updates(most)
    words = record.words(engine)
    now = verdict_now(project, stack, settings.environ)
    with working(talk_console(settings), f"working out what {len(updates)} releases cost ..."):
        costs = prices_of(project, stack, updates) if cost else {}
    if form == "json":
        write_json(document(updates, now, costs, words))
    else:
        show(data_console(settings), updates, now, costs, words)
