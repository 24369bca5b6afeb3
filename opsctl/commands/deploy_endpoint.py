"""`opsctl deploy-endpoint`: the model endpoint of a stack, brought to its config."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import endpoint_run_options, output_option
from opsctl.endpoint.open import open_stack, opened
from opsctl.endpoint.preflight.run import Preflight
from opsctl.endpoint.report import hand_over
from opsctl.endpoint.rollout import STRATEGIES
from opsctl.endpoint.run import Options
from opsctl.output import talk_console
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.endpoint.rollout import Strategy
    from opsctl.output import Form


@click.command("deploy-endpoint")
@click.argument("name", required=False)
@endpoint_run_options
@click.option("--dry-run", is_flag=True, help="Show the steps, change nothing.")
@click.option("--wait/--no-wait", default=True, help="Wait until it runs (the default), or leave at the first wait.")
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default="all-at-once",
    show_default=True,
    help="How an update shifts traffic; the first three need a second fleet while it lasts.",
)
@click.option("--keep-failed", is_flag=True, help="Keep what an update that failed has made, to look at it.")
@click.option("--image-uri", help="Image of the model server. Default: AWS's own for the engine and region.")
@click.option("--preflight/--no-preflight", "checked", default=True, help="Check the account first (the default).")
@output_option
def deploy_endpoint(
    *,
    name: str | None,
    stack: str,
    yes: bool,
    limit_s: float,
    dry_run: bool,
    wait: bool,
    strategy: Strategy,
    keep_failed: bool,
    image_uri: str | None,
    checked: bool,
    form: Form,
) -> None:
    """Bring the model endpoint NAME to what `generation` of the stack config says.

    NAME is generation.endpoint. The same config twice changes nothing. Before anything is created the account is
    checked and the cost shown, see `opsctl endpoint preflight`. Ends with 5 if SageMaker went back.

    \b
    Examples:
      opsctl deploy-endpoint --stack dev --dry-run
      opsctl deploy-endpoint twin --stack prod --strategy canary
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    talk = talk_console(settings)
    options = Options(dry_run=dry_run, wait=wait, limit_s=limit_s, keep_failed=keep_failed, strategy=strategy)
    target = open_stack(find_project(), stack, settings.environ)
    spec = target.spec(name, image_uri)
    checks = Preflight(spec, target.bucket, settings.hub, strategy, talk)
    with opened(target, spec.endpoint, options, talk, yes=yes, preflight=checks.hold if checked else None) as run:
        report = run.deploy(spec)
    if checked and dry_run and report.steps:
        checks.look()
    hand_over(report, form, settings)
