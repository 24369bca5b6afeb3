"""`opsctl endpoint preflight`: whether the account can carry the endpoint, before anything is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.endpoint.open import open_stack
from opsctl.endpoint.preflight.run import preflight
from opsctl.endpoint.rollout import STRATEGIES
from opsctl.output import data_console, talk_console, working, write_json
from opsctl.preflight.check import document, refuse_failed, show
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.endpoint.rollout import Strategy
    from opsctl.output import Form


@click.command("preflight")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that owns the endpoint.")
@click.option(
    "--strategy", type=click.Choice(STRATEGIES), default="all-at-once", show_default=True, help="How it is updated."
)
@click.option("--image-uri", help="Image of the model server. Default: AWS's own for the engine and region.")
@output_option
def check(*, stack: str, strategy: Strategy, image_uri: str | None, form: Form) -> None:
    """Check credentials, region, quota, GPU fit, weights, role, bucket and key; say what the endpoint would cost.

    Changes nothing and costs nothing. Ends with 1 if a check fails; what could not be asked is unknown, and no failure.

    \b
    Example:
      opsctl endpoint preflight --stack prod --output json
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    target = open_stack(find_project(), stack, settings.environ)
    spec = target.spec(None, image_uri)
    with working(talk_console(settings), "checking the account ..."):
        checks = preflight(spec, target.bucket, settings.hub, strategy)
    if form == "json":
        write_json({"version": 1, "stack": stack, "endpoint": spec.endpoint, "checks": document(checks)})
    else:
        show(data_console(settings), checks)
    refuse_failed(checks)
