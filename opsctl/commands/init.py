"""`opsctl init`: a new stack through both phases, timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from opsctl import settings as environment
from opsctl.commands.options import deployment_options
from opsctl.output import data_console, talk_console, write_json, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.bootstrap.walk import Walk
    from opsctl.deploy.run import Options
    from opsctl.output import Form


@click.command("init")
@click.option("--image", "source", help="Push this local image. Default: one is built from this checkout.")
@click.option("--preflight/--no-preflight", default=True, help="Look for what would stop each phase (the default).")
@deployment_options
def init(*, source: str | None, preflight: bool, yes: bool, form: Form, **options: Unpack[Options]) -> None:
    """Bring up a new stack: first phase, secrets, image, model endpoint, second phase, smoke test; each step timed.

    The stack file is there before (copy Pulumi.dev.yaml). Each step asks before it costs anything, unless --yes;
    missing secrets are asked for on a terminal. Whatever ends it, the same command goes on: what is done is seen in
    the stack itself.

    \b
    Example:
      cp Pulumi.dev.yaml Pulumi.try.yaml && opsctl init --stack try
    """  # noqa: D301 - click reads \b
    from opsctl.bootstrap.steps import Bootstrap  # noqa: PLC0415 - the engine's SDK: help must not wait for it
    from opsctl.bootstrap.walk import walk  # noqa: PLC0415

    settings, project = environment.load(), find_project()
    talk = talk_console(settings)
    bootstrap = Bootstrap(project, options, settings, talk, source, yes, preflight)
    gone = walk(bootstrap.steps(), talk)
    if form == "json":
        write_json(_document(options["stack"], gone))
    else:
        rows = [(step.name, step.state, _time(step.seconds), step.said) for step in gone.steps]
        total = ("in all", "", _time(gone.seconds), "")
        write_table(data_console(settings), (f"stack {options['stack']}", "", "time", ""), [*rows, total])
    if gone.error is not None:
        raise gone.error


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


def _document(stack: str, gone: Walk) -> dict[str, object]:
    steps = [
        {"name": step.name, "state": step.state, "seconds": step.seconds, "said": step.said} for step in gone.steps
    ]
    ended = gone.error is None
    problem = None if gone.error is None else str(gone.error)
    return {"version": 1, "stack": stack, "ok": ended, "seconds": gone.seconds, "steps": steps, "problem": problem}
