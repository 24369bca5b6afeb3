"""`opsctl ingest`: bring a stack's index up to date with its documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option, seconds_option
from opsctl.output import data_console, talk_console, write_json
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form

WHOLE_DAY_S = 24 * 3600.0


@click.command("ingest")
@click.argument("more", nargs=-1, metavar="[-- OPTIONS]")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack whose Qdrant is brought up to date.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that embed.")
@click.option("--empty-ok", is_flag=True, help="An empty source is meant: what is indexed goes.")
@click.option("--wait/--no-wait", default=True, help="Follow it to its end (the default), or only start it.")
@seconds_option("--timeout", "limit_s", WHOLE_DAY_S, "Seconds that it is followed; it goes on without its watcher.")
@output_option
def ingest(
    *, more: tuple[str, ...], stack: str, workers: int, empty_ok: bool, wait: bool, limit_s: float, form: Form
) -> None:
    """Read MongoDB, embed what changed into Qdrant, remove what is gone; counts must add up.

    On ECS it is a task, on EKS a Job: with the service's image, identity and network. For a function, and for an edge
    whose documents are in the cloud, it runs on this machine. What follows `--` is given to service.jobs.ingest.

    \b
    Example:
      opsctl ingest --stack prod --workers 2
    """  # noqa: D301 - click reads \b
    from opsctl.jobs.ingest import ingest as run  # noqa: PLC0415 - the engine's SDK: help must not wait for it

    settings, project = environment.load(), find_project()
    words = ["--mongo", "--qdrant", "--workers", str(workers), *(["--empty-ok"] if empty_ok else []), *more]
    done = run(project, stack, words, settings.environ, talk_console(settings), limit_s=limit_s if wait else None)
    if form == "json":
        write_json({"version": 1, "stack": stack, "job": done.job, "where": done.where, "ended": done.ended})
    else:
        state = "the index is up to date" if done.ended else f"started, not awaited; {done.again}"
        data_console(settings).print(f"{done.job} on {done.where}: {state}", soft_wrap=True)
