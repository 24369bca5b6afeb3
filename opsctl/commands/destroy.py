"""`opsctl destroy`: the end of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.output import data_console, talk_console, write_json, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form
    from opsctl.stack import Delivery


@click.command("destroy")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack that is deleted.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask before deleting it.")
@output_option
def destroy(*, stack: str, yes: bool, form: Form) -> None:
    """Delete everything that a stack has, and say what stays and is paid for.

    A stack with `protect` is refused until that is lifted, and one whose model endpoint runs until that is deleted. The
    stack's config and history stay: `pulumi stack rm` forgets them.

    \b
    Example:
      opsctl destroy --stack dev
    """  # noqa: D301 - click reads \b
    from opsctl.deploy.consent import ask  # noqa: PLC0415 - the engine's SDK: help must not wait for it
    from opsctl.deploy.engine import open_engine  # noqa: PLC0415
    from opsctl.deploy.teardown import tear_down  # noqa: PLC0415
    from opsctl.errors import NotDeployed  # noqa: PLC0415
    from opsctl.stack import read_delivery  # noqa: PLC0415

    settings, project = environment.load(), find_project()
    talk = talk_console(settings)

    def endpoint() -> tuple[str, str] | None:
        try:
            return _endpoint(read_delivery(project, stack, settings.environ))
        except NotDeployed:
            return None

    engine = open_engine(project, stack, settings.environ)
    done = tear_down(engine, endpoint, talk, ask(talk, stack, yes=yes))
    if form == "json":
        write_json(done.document())
    else:
        rows = [("deleted", str(done.deleted.get("delete", 0)))] + [("stays", text) for text in done.stays]
        write_table(data_console(settings), (f"stack {stack}", ""), rows)


def _endpoint(delivery: Delivery) -> tuple[str, str] | None:
    from opsctl.aws.limits import endpoint_state  # noqa: PLC0415 - boto3 is paid when it is needed

    if delivery.endpoint is None or delivery.endpoint.name is None or delivery.region is None:
        return None
    state = endpoint_state(delivery.region, delivery.endpoint.name)
    return (delivery.endpoint.name, state) if state else None
