"""`opsctl endpoint`: what is done with a model endpoint that is there."""

from __future__ import annotations

import click

from opsctl.commands.endpoint_delete import delete
from opsctl.commands.endpoint_logs import logs
from opsctl.commands.endpoint_preflight import check
from opsctl.commands.endpoint_rollback import rollback
from opsctl.commands.endpoint_status import status
from opsctl.commands.endpoint_test import test
from opsctl.commands.endpoint_wake import wake


@click.group("endpoint", commands=[check, status, test, logs, wake, rollback, delete])
def endpoint() -> None:
    """Work on the model endpoint of a stack; `opsctl deploy-endpoint` makes it.

    \b
    Example:
      opsctl endpoint rollback --stack prod
    """  # noqa: D301 - click reads \b
