"""`opsctl watch`: what a service does, live."""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import Finite, http_url, output_option

if TYPE_CHECKING:
    from opsctl.output import Form

DEFAULT = "http://127.0.0.1:9090/metrics"


@click.command("watch")
@click.option("--url", callback=http_url, default=DEFAULT, show_default=True, help="Where /metrics is.")
@click.option("--every", "every_s", type=Finite(0.1, 60), default=2.0, show_default=True, help="Seconds.")
@click.option("--times", type=click.IntRange(min=1), help="End after so many. Default: Ctrl-C ends it; 1 in a pipe.")
@output_option
def watch(*, url: str, every_s: float, times: int | None, form: Form) -> None:
    """Show requests, stages, edge and cloud, errors and breakers of a service as they come.

    \b
    Example:
      opsctl watch --url http://127.0.0.1:9090/metrics
    """  # noqa: D301 - click reads \b
    from rich.live import Live  # noqa: PLC0415 - --help does without

    from opsctl.output import data_console, table_of, write_json  # noqa: PLC0415
    from opsctl.watch.scrape import read  # noqa: PLC0415
    from opsctl.watch.view import Span, document, rows  # noqa: PLC0415

    console = data_console(environment.load())
    before = read(url)
    if not console.is_terminal or form == "json":
        for _ in range(times or 1):
            sleep(every_s)
            now = read(url)
            span = Span(before, now)
            write_json(document(span)) if form == "json" else console.print(table_of(("", "what", "now"), rows(span)))
            before = now
        return
    with Live(console=console, auto_refresh=False) as live:
        shown = 0
        while times is None or shown < times:
            sleep(every_s)
            now = read(url)
            live.update(table_of((url, "what", f"last {every_s:g} s"), rows(Span(before, now))), refresh=True)
            before, shown = now, shown + 1
