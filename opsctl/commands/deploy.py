"""`opsctl deploy`: bring a stack to its config, and prove that it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from opsctl import settings as environment
from opsctl.commands.options import deployment_options
from opsctl.deploy.consent import ask
from opsctl.deploy.report import hand_over
from opsctl.deploy.run import Deployment, Options
from opsctl.output import talk_console
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("deploy")
@click.option("--image", help="Write this image (repository@sha256:digest) into the stack config first.")
@deployment_options
def deploy(*, image: str | None, yes: bool, form: Form, **options: Unpack[Options]) -> None:
    """Preview, update, then ask the platform what runs, and test it.

    Ends with 5 if the platform runs something else than was asked for, even where the update was called a success.

    \b
    Example:
      opsctl deploy --stack dev --image 123456789012.dkr.ecr.eu-north-1.amazonaws.com/rag@sha256:...
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    talk = talk_console(settings)
    deployment = Deployment(find_project(), options, settings, talk, ask(talk, options["stack"], yes=yes))
    hand_over(deployment.run(image), form, settings)
