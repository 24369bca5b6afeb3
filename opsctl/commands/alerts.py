"""`opsctl alerts`: whether anybody hears of trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.errors import NotDeployed

if TYPE_CHECKING:
    from opsctl.output import Form


@click.group("alerts")
def alerts() -> None:
    """Work on the alerts of a stack.

    \b
    Example:
      opsctl alerts test --stack prod
    """  # noqa: D301 - click reads \b


@alerts.command("test")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack whose topics are written to.")
@click.option("--only", type=click.Choice(["critical", "warning"]), help="One of the topics. Default: both.")
@output_option
def test(*, stack: str, only: str | None, form: Form) -> None:
    """Send a message to the pager's topic and to the notices': it should reach PagerDuty, or the channel.

    It says that it is a test; whoever is on call is woken all the same.

    \b
    Example:
      opsctl alerts test --stack prod --only warning
    """  # noqa: D301 - click reads \b
    from opsctl.aws.pages import publish  # noqa: PLC0415 - boto3 is paid when it is needed
    from opsctl.output import data_console, write_json, write_table  # noqa: PLC0415
    from opsctl.project import find_project  # noqa: PLC0415
    from opsctl.stack import read_delivery  # noqa: PLC0415

    settings = environment.load()
    delivery = read_delivery(find_project(), stack, settings.environ)
    topics = {name: arn for name, arn in (delivery.topics or {}).items() if only in {None, name}}
    if not topics or delivery.region is None:
        raise NotDeployed(f"stack '{stack}' has no topics", next_step="an edge without a cloud half tells nobody")
    for name, arn in topics.items():
        text = f"A test of the alerts of stack '{stack}', sent by `opsctl alerts test`: nothing is wrong."
        publish(delivery.region, arn, f"TEST {name}: rag-platform {stack}", text)
    if form == "json":
        write_json({"version": 1, "stack": stack, "sent": topics})
    else:
        rows = [(name, "ok", arn.rpartition(":")[2]) for name, arn in topics.items()]
        write_table(data_console(settings), ("topic", "sent", "name"), rows)
