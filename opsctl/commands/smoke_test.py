"""`opsctl smoke-test`: the proof that a deployment works."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import golden_option, output_option, request_limit_option, url_option
from opsctl.errors import CheckFailed, NotDeployed
from opsctl.output import data_console, talk_console, write_json
from opsctl.project import LOCAL_STACK, find_project
from opsctl.service_key import service_key
from opsctl.smoke.golden import questions_for
from opsctl.smoke.report import document, show
from opsctl.smoke.run import Target, smoke
from opsctl.stack import read_delivery

if TYPE_CHECKING:
    from pathlib import Path

    from opsctl.output import Form
    from opsctl.settings import Settings


@click.command("smoke-test")
@click.option("-s", "--stack", default=LOCAL_STACK, show_default=True, help="The stack whose service is tested.")
@url_option
@golden_option
@request_limit_option
@output_option
def smoke_test(*, stack: str, url: str | None, golden: Path | None, limit_s: float, form: Form) -> None:
    """Ask the deployed service real questions and judge the answers.

    Ends with 0 if all checks hold, 1 otherwise. A service that asks for a key gets the one in RAG_API_KEY,
    or without it the stack's own, read from Secrets Manager.

    \b
    Examples:
      opsctl smoke-test --stack prod
      opsctl smoke-test --url http://127.0.0.1:8080 --output json
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    target, demo = _target(stack, url, settings)
    questions = questions_for(golden, demo=demo)
    report = asyncio.run(smoke(target, questions, limit_s=limit_s, talk=talk_console(settings)))
    if form == "json":
        write_json(document(report))
    else:
        show(data_console(settings), report)
    if report.failed:
        raise CheckFailed(
            f"{len(report.failed)} of {len(report.outcomes)} checks don't hold: {', '.join(report.failed)}",
            next_step="the evidence above says what to do",
        )


def _target(stack: str, url: str | None, settings: Settings) -> tuple[Target, bool]:
    """Whom to ask, and whether the answers come from the demo corpus."""
    if url is not None:
        return Target(url, api_key=settings.api_key), True
    delivery = read_delivery(find_project(), stack, settings.environ)
    if delivery.url is None:
        raise NotDeployed(
            f"stack '{stack}' has no url: its workload isn't deployed yet",
            next_step=f"run `opsctl deploy --stack {stack}`",
        )
    demo = stack == LOCAL_STACK and delivery.source is None
    return Target(delivery.url.rstrip("/"), stack=stack, api_key=service_key(settings, delivery)), demo
