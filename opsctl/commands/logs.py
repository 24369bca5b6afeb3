"""`opsctl logs`: what the service says."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, Finite, output_option
from opsctl.follow import lines
from opsctl.output import talk_console
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("logs")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack whose service is listened to.")
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--since", "minutes", type=Finite(min=0), default=15, show_default=True, help="Minutes ago.")
@click.option("--stage", help="Only lines of this stage of the pipeline, e.g. generation: failed, or done without.")
@click.option("--metrics", is_flag=True, help="Also the lines that CloudWatch makes metrics of.")
@output_option
def logs(*, stack: str, follow: bool, minutes: float, stage: str | None, metrics: bool, form: Form) -> None:
    """Print the service's log lines, wherever the stack keeps them.

    With --output json each line is a JSON document of its own.

    \b
    Example:
      opsctl logs --stack prod --follow --stage generation
    """  # noqa: D301 - click reads \b
    from opsctl.service_logs import concerns, is_metric, source_of  # noqa: PLC0415
    from opsctl.stack import read_delivery  # noqa: PLC0415

    settings, project = environment.load(), find_project()
    source = source_of(project, stack, read_delivery(project, stack, settings.environ))
    found = False
    try:
        for line in lines(source, int((time.time() - minutes * 60) * 1000), follow=follow):
            text = line.text.rstrip()
            if (stage is not None and not concerns(text, stage)) or (not metrics and is_metric(text)):
                continue
            found = True
            document = {"at": line.at, "stream": line.stream, "text": text}
            click.echo(json.dumps(document, ensure_ascii=False) if form == "json" else f"{line.at} {text}")
    except KeyboardInterrupt:
        if not follow:
            raise
    if not found:
        talk_console(settings).print("no such lines since then")
