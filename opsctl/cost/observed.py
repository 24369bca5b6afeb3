"""What a deployed stack did cost, and what it costs now: the views that ask the cloud, after the operator's yes."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsctl.aws import ecs_service
from opsctl.aws.billing import PAGE_USD, active_tags, billed
from opsctl.aws.fleet import endpoint_instances
from opsctl.cost.bills import TAG, Bills, month
from opsctl.cost.engine_state import exported
from opsctl.cost.views import actual, live
from opsctl.errors import NotUsable
from opsctl.project import find_project
from opsctl.stack import read_delivery, read_resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsctl.cost.pricing import Pricing
    from opsctl.sheet import Sheet

CALLS = 2  # the stack's rows, and the untagged ones; more where an answer has more pages


@dataclass(frozen=True, slots=True)
class Past:
    """A month that was billed.

    Attributes:
        allowed: the paid calls need no question.
    """

    month: str
    allowed: bool


def actual_sheet(pricing: Pricing, past: Past, environ: Mapping[str, str]) -> Sheet:
    """The bill of a month beside the estimate for as many hours.

    Raises:
        NotUsable: it is no month, or nobody can be asked for the paid calls.
        CloudRefused, TimedOut
    """
    now = dt.datetime.now(tz=dt.UTC)
    of = month(past.month, now.date())
    bills = Bills(_cache(environ), billed)
    bill = bills.kept(pricing.stack, of, now)
    if bill is None:
        _consent(past)
        bill = bills.read(pricing.stack, of, now)
    tag_active = bill.pages == 0 or TAG in active_tags()
    report = pricing.price(pricing.situation(), pricing.usage.having(hours_per_month=Decimal(of.hours)))
    return actual.sheet(report, bill, of, tag_active=tag_active)


def live_sheet(pricing: Pricing, environ: Mapping[str, str]) -> Sheet:
    """What runs now, by the hour.

    Raises:
        StackNotFound, NotDeployed, ToolMissing, CloudRefused, TimedOut
    """
    project = find_project()
    delivery = read_delivery(project, pricing.stack, environ)
    resources = read_resources(project, pricing.stack, environ)
    cluster, endpoint = delivery.cluster, delivery.endpoint
    service = cluster.service if cluster and delivery.topology == "ecs" else None
    running = live.Running(
        tasks=ecs_service(delivery.region, cluster.name, service).running if cluster and service else None,
        instances=endpoint_instances(delivery.region, endpoint.name) if endpoint and endpoint.name else None,
    )
    return live.sheet(pricing, exported(resources), running)


def _consent(past: Past) -> None:
    if past.allowed:
        return
    price = f"Cost Explorer takes {PAGE_USD} USD for a page, and this needs {CALLS} or more"
    if not sys.stdin.isatty():
        raise NotUsable(f"{price}: there is no terminal to ask on", next_step="give --allow-paid-api")
    click.confirm(f"{price}. Ask it?", abort=True, err=True)


def _cache(environ: Mapping[str, str]) -> Path:
    home = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "rag-platform" / "bills"
