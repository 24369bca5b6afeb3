"""`opsctl rollback`: back to an earlier image, and the proof that it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from opsctl import settings as environment
from opsctl.commands.options import deployment_options
from opsctl.deploy.consent import ask
from opsctl.deploy.engine import open_engine
from opsctl.deploy.releases import rollback_target
from opsctl.deploy.report import hand_over
from opsctl.deploy.run import Deployment, Options
from opsctl.output import talk_console
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("rollback")
@click.option("--to", help="A number of `opsctl releases`, or an image. Default: the newest earlier image.")
@deployment_options
def rollback(*, to: str | None, yes: bool, form: Form, **options: Unpack[Options]) -> None:
    """Deploy an earlier image and prove that it runs; the stack config then names it.

    \b
    Example:
      opsctl rollback --stack prod
    """  # noqa: D301 - click reads \b
    settings, project = environment.load(), find_project()
    talk = talk_console(settings)
    target = rollback_target(open_engine(project, options["stack"], settings.environ), to)
    talk.print(f"going back to {target}")
    deployment = Deployment(project, options, settings, talk, ask(talk, options["stack"], yes=yes), hurried=True)
    hand_over(deployment.run(target), form, settings)
