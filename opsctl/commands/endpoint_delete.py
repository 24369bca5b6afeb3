"""`opsctl endpoint delete`: everything that an endpoint consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import endpoint_run_options, output_option
from opsctl.endpoint.open import open_stack, opened
from opsctl.endpoint.report import hand_over
from opsctl.endpoint.run import Options
from opsctl.output import talk_console
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("delete")
@click.argument("name", required=False)
@endpoint_run_options
@click.option("--dry-run", is_flag=True, help="Show the steps, change nothing.")
@output_option
def delete(*, name: str | None, stack: str, yes: bool, limit_s: float, dry_run: bool, form: Form) -> None:
    """Delete the endpoint NAME with its models, configs, scaling and alarms.

    NAME is generation.endpoint; an earlier name of it may be given. What another stack owns is refused.

    \b
    Example:
      opsctl endpoint delete --stack dev
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    talk = talk_console(settings)
    target = open_stack(find_project(), stack, settings.environ)
    chosen = name or target.cfg.generation.endpoint
    with opened(target, chosen, Options(limit_s=limit_s, dry_run=dry_run), talk, yes=yes) as run:
        report = run.delete()
    hand_over(report, form, settings)
