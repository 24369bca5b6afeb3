"""`opsctl load-test`: what a service does with more requests than usual."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import http_url, output_option
from opsctl.errors import NotUsable
from opsctl.output import data_console, talk_console, working, write_json

if TYPE_CHECKING:
    from opsctl.load.target import Key
    from opsctl.output import Form
    from opsctl.settings import Settings

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NUMBER = click.FloatRange(min=0, min_open=True)


@click.command("load-test")
@click.option("--url", callback=http_url, required=True, help="The service's address.")
@click.option("--allow-host", help="The host of --url once more, where that is not this machine.")
@click.option("--queries", type=FILE, required=True, help="One query per line, the most asked first.")
@click.option("--zipf", "exponent", type=click.FloatRange(min=0), default=1.0, show_default=True, help="0: all alike.")
@click.option("--schedule", type=FILE, help="YAML: phases of {name, fromPerS, perS, seconds}; arrivals; seed.")
@click.option("--rate", type=NUMBER, default=5.0, show_default=True, help="Requests per second, without --schedule.")
@click.option("--seconds", type=NUMBER, default=30.0, show_default=True, help="How long, without --schedule.")
@click.option("--stream", is_flag=True, help="Ask for server-sent events; reports the time to the first token.")
@click.option(
    "--pause", type=click.FloatRange(min=0), default=0.0, help="Seconds that a reader waits after each event."
)
@click.option("--timeout", "timeout_s", type=NUMBER, default=30.0, show_default=True, help="Seconds, of one request.")
@click.option("--key-env", multiple=True, help="Environment variable with an API key; several are used in turn.")
@output_option
def load_test(
    *,
    url: str,
    allow_host: str | None,
    queries: Path,
    exponent: float,
    schedule: Path | None,
    rate: float,
    seconds: float,
    stream: bool,
    pause: float,
    timeout_s: float,
    key_env: tuple[str, ...],
    form: Form,
) -> None:
    """Send requests at the times of a schedule and report latencies from when each was meant to start.

    Load on a service that others use is an outage: another machine must be named twice. Without --key-env the key in
    RAG_API_KEY is sent, where there is one.

    \b
    Examples:
      opsctl load-test --url http://127.0.0.1:8080 --queries queries.txt --rate 20 --seconds 60
      opsctl load-test --url http://127.0.0.1:8080 --queries queries.txt --schedule spike.yaml --output json
    """  # noqa: D301 - click reads \b
    from opsctl.load.driver import Plan, drive  # noqa: PLC0415 - --help does without an HTTP client
    from opsctl.load.mix import load_queries  # noqa: PLC0415
    from opsctl.load.report import document, show  # noqa: PLC0415
    from opsctl.load.request import Asking  # noqa: PLC0415
    from opsctl.load.schedule import load_schedule, steady  # noqa: PLC0415
    from opsctl.load.target import Target  # noqa: PLC0415

    settings = environment.load()
    plan = Plan(
        Target(url, _keys(settings, key_env), allow_host),
        load_schedule(schedule) if schedule else steady(rate, seconds),
        load_queries(queries),
        Asking(stream=stream, pause_s=pause, timeout_s=timeout_s),
        zipf_exponent=exponent,
    )
    with working(talk_console(settings), f"{plan.schedule.expected:.0f} requests in {plan.schedule.seconds:g} s ..."):
        record = asyncio.run(drive(plan))
    if form == "json":
        write_json(document(plan, record))
    else:
        show(data_console(settings), plan, record)


def _keys(settings: Settings, names: tuple[str, ...]) -> tuple[Key, ...]:
    from opsctl.load.target import Key  # noqa: PLC0415

    if missing := [name for name in names if not settings.environ.get(name)]:
        raise NotUsable(f"--key-env {', '.join(missing)}: not set", next_step="export the key under that name")
    keys = tuple(Key(name, settings.environ[name]) for name in names)
    return keys or ((Key("RAG_API_KEY", settings.api_key),) if settings.api_key else ())
