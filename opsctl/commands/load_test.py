"""`opsctl load-test`: what a service does with more requests than usual."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, FileToWrite, Finite, http_url, output_option

if TYPE_CHECKING:
    from opsctl.load.open import Opened
    from opsctl.output import Form
    from opsctl.settings import Settings

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NUMBER = Finite(min=0, min_open=True)
PERCENT = Finite(min=0, max=100)
DEFAULT_P95_S = 10.0  # the guide's


@click.command("load-test")
@click.option("-s", "--stack", type=STACK, help="The stack whose service is loaded.")
@click.option("--url", callback=http_url, help="Its address, in place of --stack.")
@click.option("--allow-host", help="The host of --url once more, where that is not this machine.")
@click.option("-y", "--yes", is_flag=True, help="Load a production stack.")
@click.option("--queries", type=FILE, required=True, help="One query per line, the most asked first.")
@click.option("--zipf", "exponent", type=Finite(min=0), default=1.0, show_default=True, help="0: all alike.")
@click.option("--schedule", type=FILE, help="YAML: phases of {name, fromPerS, perS, seconds}; arrivals; seed.")
@click.option("--rate", type=NUMBER, default=5.0, show_default=True, help="Requests per second, without --schedule.")
@click.option("--seconds", type=NUMBER, default=30.0, show_default=True, help="How long, without --schedule.")
@click.option("--stream", is_flag=True, help="Ask for server-sent events; reports the time to the first token.")
@click.option("--pause", type=Finite(min=0), default=0.0, help="Seconds that a reader waits after each event.")
@click.option("--timeout", "timeout_s", type=NUMBER, default=30.0, show_default=True, help="Seconds, of one request.")
@click.option("--key-env", multiple=True, help="Environment variable with an API key; several are used in turn.")
@click.option(
    "--stop-at-errors", "stop", type=PERCENT, default=50.0, show_default=True, metavar="PERCENT",
    help="Stop when so many of the last 10 seconds' requests failed; 100 only where all did.",
)  # fmt: skip
@click.option("--max-usd", type=Finite(min=0), help="Stop when the answers have cost so much.")
@click.option(
    "--error-budget", "budget", type=PERCENT, default=1.0, show_default=True, metavar="PERCENT",
    help="End with 1 where more failed, refusals (429, 503) included; without a good answer always.",
)  # fmt: skip
@click.option("--slo", "slo_s", type=NUMBER, metavar="SECONDS", help="End with 1 where p95 is above it.")
@click.option(
    "--find-capacity", "search", is_flag=True, help="Search the highest rate within --slo and --error-budget."
)
@click.option("--max-rate", type=NUMBER, default=200.0, show_default=True, help="The highest rate that is tried.")
@click.option("--replicas", type=click.IntRange(min=1), default=1, show_default=True, help="That share the load.")
@click.option("--html", type=FileToWrite(), help="Also write a page with plots.")
@output_option
def load_test(
    *,
    stack: str | None,
    url: str | None,
    allow_host: str | None,
    yes: bool,
    queries: Path,
    exponent: float,
    schedule: Path | None,
    rate: float,
    seconds: float,
    stream: bool,
    pause: float,
    timeout_s: float,
    key_env: tuple[str, ...],
    stop: float,
    max_usd: float | None,
    budget: float,
    slo_s: float | None,
    search: bool,
    max_rate: float,
    replicas: int,
    html: Path | None,
    form: Form,
) -> None:
    """Send requests at the times of a schedule and report latencies from when each was meant to start.

    Load on a service that others use is an outage: another machine must be named twice, a production stack wants
    --yes. Without --key-env the key in RAG_API_KEY is sent, or the stack's own.

    \b
    Examples:
      opsctl load-test --url http://127.0.0.1:8080 --queries queries.txt --rate 20 --seconds 60 --html load.html
      opsctl load-test --stack dev --queries queries.txt --schedule spike.yaml --max-usd 2 --error-budget 0.1
      opsctl load-test --stack dev --queries queries.txt --find-capacity --replicas 2 --slo 10
    """  # noqa: D301 - click reads \b
    from opsctl.load.driver import Plan  # noqa: PLC0415 - --help does without an HTTP client
    from opsctl.load.limits import Limits, Promise  # noqa: PLC0415
    from opsctl.load.mix import load_queries  # noqa: PLC0415
    from opsctl.load.request import Asking  # noqa: PLC0415
    from opsctl.load.run import Search, run_schedule, run_search  # noqa: PLC0415
    from opsctl.load.schedule import load_schedule, steady  # noqa: PLC0415

    if search and (schedule or html):
        raise click.UsageError("--find-capacity makes its own schedule and no page: leave --schedule and --html out")
    settings = environment.load()
    opened = _opened(settings, stack, url, allow_host, key_env, yes=yes)
    plan = Plan(
        opened.target,
        load_schedule(schedule) if schedule else steady(rate, seconds),
        load_queries(queries),
        Asking(stream=stream, pause_s=pause, timeout_s=timeout_s),
        zipf_exponent=exponent,
        limits=Limits(failed_percent=stop, usd=None if max_usd is None else Decimal(str(max_usd))),
    )
    if search:
        promise = Promise(budget, slo_s or opened.p95_s or DEFAULT_P95_S)
        run_search(plan, promise, Search(rate, max_rate, seconds, replicas), settings, form)
    else:
        run_schedule(plan, Promise(budget, slo_s), settings, html, form)


def _opened(
    settings: Settings, stack: str | None, url: str | None, host: str | None, key_env: tuple[str, ...], *, yes: bool
) -> Opened:
    from opsctl.load.open import named_keys, open_address, open_stack  # noqa: PLC0415
    from opsctl.project import find_project  # noqa: PLC0415

    keys = named_keys(settings, key_env)
    if url is not None and stack is None:
        return open_address(url, host, keys)
    if stack is not None and url is None:
        return open_stack(find_project(), stack, settings, keys, yes=yes)
    raise click.UsageError("give --stack or --url, and not both")
