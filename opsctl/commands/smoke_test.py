"""`opsctl smoke-test`: the proof that a deployment works."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import (
    STACK,
    FileToWrite,
    golden_option,
    output_option,
    request_limit_option,
    seconds_option,
    url_option,
)
from opsctl.edge.near import near
from opsctl.errors import CheckFailed
from opsctl.output import data_console, talk_console, write_json
from opsctl.project import LOCAL_STACK, find_project
from opsctl.smoke.golden import questions_for
from opsctl.smoke.report import document, show
from opsctl.smoke.run import Target, smoke
from opsctl.smoke.suites import SUITES
from opsctl.smoke.target import answers_demo, target_of
from opsctl.stack import read_delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsctl.output import Form
    from opsctl.settings import Settings


@click.command("smoke-test")
@click.option("-s", "--stack", type=STACK, default=LOCAL_STACK, show_default=True, help="The stack to test.")
@url_option
@golden_option
@click.option(
    "--suite",
    type=click.Choice(list(SUITES)),
    default="core",
    show_default=True,
    help="core: what a deployment must do. full: also TLS, keys and limits, streaming, OpenAI's client, collections, "
    "authors, cache, latency, the model endpoint; uses the key's requests of a minute up.",
)
@click.option("--junit", type=FileToWrite(), help="Also write the report as JUnit XML to this file.")
@request_limit_option
@seconds_option("--settle", "settle_s", 60, "Seconds for which a passing refusal (429, 502, 503, 504) is asked again.")
@output_option
def smoke_test(
    *,
    stack: str,
    url: str | None,
    golden: Path | None,
    suite: str,
    junit: Path | None,
    limit_s: float,
    settle_s: float,
    form: Form,
) -> None:
    """Ask the deployed service real questions and judge the answers.

    Ends with 0 if all checks hold, 1 otherwise. A service that asks for a key gets the one in RAG_API_KEY,
    or without it the stack's own, read from Secrets Manager.

    \b
    Examples:
      opsctl smoke-test --stack prod --suite full --junit smoke.xml
      opsctl smoke-test --url http://127.0.0.1:8080 --output json
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    talk = talk_console(settings)
    checks = SUITES[suite]
    with _target(stack, url, settings) as (target, demo):
        questions = questions_for(golden, demo=demo)
        report = asyncio.run(smoke(target, questions, limit_s=limit_s, talk=talk, patience_s=settle_s, checks=checks))
    if form == "json":
        write_json(document(report))
    else:
        show(data_console(settings), report)
    if junit is not None:
        from opsctl.smoke.junit import write  # noqa: PLC0415 - its library is paid by who asks for the file

        write(report, junit)
    if report.failed:
        raise CheckFailed(
            f"{len(report.failed)} of {len(report.outcomes)} checks don't hold: {', '.join(report.failed)}",
            next_step="the evidence above says what to do",
        )


@contextmanager
def _target(stack: str, url: str | None, settings: Settings) -> Iterator[tuple[Target, bool]]:
    """Whom to ask, and whether the answers come from the demo corpus."""
    if url is not None:
        yield Target(url, api_key=settings.api_key), True
        return
    project = find_project()
    with near(read_delivery(project, stack, settings.environ)) as delivery:
        yield target_of(project, stack, delivery, settings), answers_demo(stack, delivery)
