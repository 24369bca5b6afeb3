"""`opsctl pause` and `opsctl resume`: a stack to its cheapest state, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option, seconds_option
from opsctl.consent import confirm
from opsctl.output import data_console, talk_console, write_json, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from opsctl.output import Form
    from opsctl.settings import Settings
    from opsctl.standby.bills import Bill
    from opsctl.standby.run import Done, Plan, Way

ALWAYS = "requests, tokens, stored bytes, keys, secrets, alarms and a WAF are billed besides, see `opsctl cost-report`"


@click.command("pause")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that is brought to rest.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask before.")
@click.option("--endpoint/--no-endpoint", default=True, help="Also the model endpoint (the default).")
@seconds_option("--timeout", "limit_s", 3600, "Seconds that the model endpoint's part may take.")
@output_option
def pause(*, stack: str, yes: bool, endpoint: bool, limit_s: float, form: Form) -> None:
    """Bring a stack to its cheapest state: no task, pod, node, warm instance or model endpoint; say what still bills.

    Nobody is answered until `opsctl resume`. Data, addresses, images and secrets stay; so does what the stack promises:
    `opsctl deploy` changes a paused stack and does not wake it. Alarms are silent meanwhile. An edge bills nothing and
    goes on.

    \b
    Example:
      opsctl pause --stack dev
    """  # noqa: D301 - click reads \b
    _run("pause", stack, form, yes=yes, endpoint=endpoint, limit_s=limit_s)


@click.command("resume")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that is woken.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask before.")
@click.option("--endpoint/--no-endpoint", default=True, help="Also the model endpoint (the default).")
@seconds_option("--timeout", "limit_s", 3600, "Seconds that each of endpoint and rollout may take.")
@output_option
def resume(*, stack: str, yes: bool, endpoint: bool, limit_s: float, form: Form) -> None:
    """Bring a paused stack back to what it promises, and prove by the platform's word that it runs.

    Alarms are loud again in the end, also where it did not come up. `opsctl smoke-test` asks it a real question.

    \b
    Example:
      opsctl resume --stack dev
    """  # noqa: D301 - click reads \b
    _run("resume", stack, form, yes=yes, endpoint=endpoint, limit_s=limit_s)


def _run(way: Way, stack: str, form: Form, *, yes: bool, endpoint: bool, limit_s: float) -> None:
    from opsctl.standby.open import open_standby  # noqa: PLC0415 - the engine's SDK: help must not wait for it
    from opsctl.standby.run import change  # noqa: PLC0415

    settings = environment.load()
    talk = talk_console(settings)
    standby = open_standby(find_project(), stack, settings.environ, talk, endpoint=endpoint, limit_s=limit_s)
    done = change(standby.parts, way, talk, _consent(way, stack, talk, yes=yes), standby.prove)
    if not done.changed:
        talk.print("nothing to do: it is so already" + (", and it runs" if way == "resume" else ""))
    _hand_over(way, stack, done, standby.bills(), form, settings)
    if way == "resume" and done.changed:
        talk.print(f"next: `opsctl smoke-test --stack {stack}`")


def _consent(way: Way, stack: str, talk: Console, *, yes: bool) -> Callable[[Plan], None]:
    def consent(plan: Plan) -> None:
        talk.print(f"{way} stack {stack}:")
        for name, now, then in plan:
            talk.print(f"  {name}: {now} -> {then}")
        confirm("Do this?", yes=yes, read="the list")

    return consent


def _hand_over(way: Way, stack: str, done: Done, bills: tuple[Bill, ...], form: Form, settings: Settings) -> None:
    from opsctl.standby.bills import HOURS_PER_MONTH, in_all  # noqa: PLC0415

    usd = in_all(bills)
    if form == "json":
        write_json(
            {
                "version": 1,
                "stack": stack,
                "way": way,
                "parts": [{"name": name, "before": before, "after": after} for name, before, after in done.parts],
                "changed": done.changed,
                "bills": [
                    {
                        "price": bill.key,
                        "units": str(bill.units.normalize()),
                        "usdPerHour": None if bill.usd_per_hour is None else str(bill.usd_per_hour.normalize()),
                    }
                    for bill in bills
                ],
                "usdPerHour": str(usd.normalize()),
            }
        )
        return
    console = data_console(settings)
    write_table(console, (f"stack {stack}", "before", "now"), done.parts)
    rows = [(bill.key, f"{bill.units.normalize():f}", _usd(bill)) for bill in bills]
    total = [("in all", "", f"{usd:.4f}, {usd * HOURS_PER_MONTH:,.2f} a month")]
    write_table(console, ("still bills" if way == "pause" else "bills", "units", "USD an hour"), [*rows, *total])
    console.print(ALWAYS, soft_wrap=True)


def _usd(bill: Bill) -> str:
    return "no price in the catalog" if bill.usd_per_hour is None else f"{bill.usd_per_hour:.4f}"
