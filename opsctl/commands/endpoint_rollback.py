"""`opsctl endpoint rollback`: back to the release before."""

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


@click.command("rollback")
@click.argument("name", required=False)
@endpoint_run_options
@output_option
def rollback(*, name: str | None, stack: str, yes: bool, limit_s: float, form: Form) -> None:
    """Bring the endpoint NAME to the release before the one that runs.

    Where a deployment was left unfinished, that is the last one that ended well. NAME is generation.endpoint.

    \b
    Example:
      opsctl endpoint rollback --stack prod
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    talk = talk_console(settings)
    target = open_stack(find_project(), stack, settings.environ)
    chosen = name or target.cfg.generation.endpoint
    with opened(target, chosen, Options(limit_s=limit_s), talk, yes=yes) as run:
        report = run.roll_back()
    hand_over(report, form, settings)
