"""`opsctl deploy`: bring a stack to its config, and prove that it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from opsctl import settings as environment
from opsctl.commands.options import deployment_options
from opsctl.deploy.consent import ask
from opsctl.deploy.report import hand_over
from opsctl.deploy.run import Caution, Deployment, Options
from opsctl.output import talk_console
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("deploy")
@click.option("--image", help="Write this image (repository@sha256:digest) into the stack config first.")
@click.option("--preflight/--no-preflight", default=True, help="Look for what would stop it first (the default).")
@click.option(
    "--rollback/--no-rollback", "go_back", default=True, help="Where it fails, deploy the image before (the default)."
)
@deployment_options
def deploy(
    *, image: str | None, preflight: bool, go_back: bool, yes: bool, form: Form, **options: Unpack[Options]
) -> None:
    """Check, preview with its cost, update, then ask the platform what runs, and test it.

    Ends with 5 if the platform runs something else than was asked for, even where the update was called a success, or
    if the release before was brought back because the smoke test failed. An image alone is taken back: for another key
    of the config say what it was and deploy again.

    \b
    Example:
      opsctl deploy --stack dev --image 123456789012.dkr.ecr.eu-north-1.amazonaws.com/rag@sha256:...
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    talk = talk_console(settings)
    caution = Caution(preflight=preflight, go_back=go_back)
    consent = ask(talk, options["stack"], yes=yes)
    deployment = Deployment(find_project(), options, settings, talk, consent, caution=caution)
    hand_over(deployment.run(image), form, settings)
