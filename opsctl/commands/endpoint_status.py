"""`opsctl endpoint status`: what runs, what it costs, what to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.endpoint.open import open_stack
from opsctl.endpoint.preflight.bill import price_of
from opsctl.endpoint.resources import config_name
from opsctl.endpoint.served import component_of, read_journal, served
from opsctl.endpoint.status import IDLE_HOURS, Status
from opsctl.errors import CheckFailed
from opsctl.output import data_console, talk_console, working, write_json, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.command("status")
@click.argument("name", required=False)
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that owns the endpoint.")
@output_option
def status(*, name: str | None, stack: str, form: Form) -> None:
    """Show what endpoint NAME runs, its instances, copies and alarms, and its cost so far this month.

    Ends with 1 if it isn't in service, runs something else than was released, or an alarm rings. Asleep is fine.

    \b
    Example:
      opsctl endpoint status --stack prod --output json
    """  # noqa: D301 - click reads \b
    from opsctl.aws.endpoint_status import observe  # noqa: PLC0415 - boto3 is paid when it is needed

    settings = environment.load()
    target = open_stack(find_project(), stack, settings.environ)
    spec = served(target, name)
    with working(talk_console(settings), f"looking at {spec.endpoint} ..."):
        observed = observe(spec, component_of(spec))
    found = Status(spec, observed, read_journal(target, spec.endpoint), config_name(spec), price_of(spec))
    if form == "json":
        write_json(_document(found))
    else:
        write_table(data_console(settings), (f"endpoint {spec.endpoint}", observed.status or "absent"), _rows(found))
    if not found.healthy:
        raise CheckFailed(f"endpoint '{spec.endpoint}' isn't as it should be", next_step="the warnings say what to do")


def _rows(found: Status) -> list[tuple[str, str]]:
    seen, copies = found.observed, found.observed.copies
    release = found.journal.releases[0]
    rows = [
        ("model", found.spec.source.model),
        ("released", f"{release.at} by {release.by}"),
        ("config", seen.config or ""),
        ("instances", f"{seen.instances} of {seen.wanted_instances} {found.spec.instance_type}"),
        *([("copies", f"{copies.current} of {copies.desired}, {copies.status}")] if copies else []),
        *((name, state) for name, state in (seen.alarms or {}).items()),
        (f"requests, {IDLE_HOURS} h", "not known" if seen.requests is None else f"{seen.requests:,}"),
        ("this month", _spent(found)),
    ]
    return rows + [("warning", text) for text in found.warnings]


def _spent(found: Status) -> str:
    hours, price = found.observed.instance_hours, found.price
    if hours is None:
        return "instance-hours not known"
    if found.month_usd is None or price is None:
        return f"{hours:.1f} instance-hours, which have no price"
    return f"about {found.month_usd:,.2f} USD: {hours:.1f} instance-hours (list price of {price.as_of})"


def _document(found: Status) -> dict[str, object]:
    seen, copies = found.observed, found.observed.copies
    return {
        "version": 1,
        "stack": found.spec.stack,
        "endpoint": found.spec.endpoint,
        "ok": found.healthy,
        "status": seen.status,
        "reason": seen.reason,
        "model": found.spec.source.model,
        "config": seen.config,
        "releasedConfig": found.expected_config,
        "released": {"at": found.journal.releases[0].at, "by": found.journal.releases[0].by},
        "instanceType": found.spec.instance_type,
        "instances": {"current": seen.instances, "desired": seen.wanted_instances},
        "copies": None if copies is None else {"current": copies.current, "desired": copies.desired},
        "alarms": dict(seen.alarms or {}),
        "requestsLast24h": seen.requests,
        "month": {
            "instanceHours": None if seen.instance_hours is None else f"{seen.instance_hours:.6f}",
            "usd": None if found.month_usd is None else f"{found.month_usd:.6f}",
        },
        "warnings": list(found.warnings),
    }
