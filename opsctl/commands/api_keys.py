"""`opsctl api-keys`: who may call a stack, with which limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, Finite, output_option
from opsctl.consent import confirm
from opsctl.credentials import callers
from opsctl.credentials.config_file import ConfigFile
from opsctl.errors import NotDeployed
from opsctl.output import data_console, talk_console, write_change, write_json, write_table
from opsctl.project import find_project
from opsctl.stack import read_delivery

if TYPE_CHECKING:
    from opsctl.output import Form
    from opsctl.stack import Delivery

stack_option = click.option("-s", "--stack", type=STACK, required=True, help="The stack whose callers they are.")


@click.group("api-keys")
def api_keys() -> None:
    """Name the callers of a stack; it generates their keys and keeps them in Secrets Manager.

    \b
    Example:
      opsctl api-keys create batch --stack prod --requests-per-minute 600
    """  # noqa: D301 - click reads \b


@api_keys.command("create")
@click.argument("name")
@stack_option
@click.option("--requests-per-minute", type=click.IntRange(min=1), help="Its own limit, in place of everybody's.")
@click.option("--usd-per-hour", type=Finite(min=0), help="Its own spending limit.")
@output_option
def create(*, name: str, stack: str, requests_per_minute: int | None, usd_per_hour: float | None, form: Form) -> None:
    """Name a caller in the stack config; `opsctl deploy` makes its key.

    \b
    Example:
      opsctl api-keys create batch --stack prod --requests-per-minute 600 --usd-per-hour 1.5
    """  # noqa: D301 - click reads \b
    usd = None if usd_per_hour is None else f"{usd_per_hour:g}"
    callers.create(_file(stack), name, requests_per_minute=requests_per_minute, usd_per_hour=usd)
    write_change(form, "created", stack=stack, name=name)
    _talk(f"'{name}' is in the config; next: `opsctl deploy --stack {stack}`, then `opsctl api-keys show {name}`")


@api_keys.command("rotate")
@click.argument("name")
@stack_option
@output_option
def rotate(*, name: str, stack: str, form: Form) -> None:
    """Ask for another key of a caller; the old one ends with the next `opsctl deploy`, without a restart.

    \b
    Example:
      opsctl api-keys rotate batch --stack prod
    """  # noqa: D301 - click reads \b
    revision = callers.rotate(_file(stack), name)
    write_change(form, "rotated", stack=stack, name=name, revision=revision)
    _talk(f"revision {revision} of '{name}' is in the config; next: `opsctl deploy --stack {stack}`")


@api_keys.command("revoke")
@click.argument("name")
@stack_option
@click.option("-y", "--yes", is_flag=True, help="Don't ask before.")
@output_option
def revoke(*, name: str, stack: str, yes: bool, form: Form) -> None:
    """Take a caller out of the stack config; its key ends with the next `opsctl deploy`.

    \b
    Example:
      opsctl api-keys revoke batch --stack prod --yes
    """  # noqa: D301 - click reads \b
    confirm(f"End the key of '{name}' with the next deployment?", yes=yes, read="`opsctl api-keys list`")
    callers.revoke(_file(stack), name)
    write_change(form, "revoked", stack=stack, name=name)
    _talk(f"'{name}' is out of the config; next: `opsctl deploy --stack {stack}`")


@api_keys.command("show")
@click.argument("name")
@stack_option
def show(*, name: str, stack: str) -> None:
    """Print the key of a caller, to hand it over; nothing else prints one.

    \b
    Example:
      opsctl api-keys show batch --stack prod | pbcopy
    """  # noqa: D301 - click reads \b
    from opsctl.aws import secret_text  # noqa: PLC0415 - boto3 is paid when it is needed

    file = _file(stack)
    delivery = read_delivery(file.project, stack, file.environ)
    click.echo(secret_text(delivery.region, callers.arn_of(file.cfg, delivery, name)))


@api_keys.command("list")
@stack_option
@output_option
def list_(*, stack: str, form: Form) -> None:
    """List the callers of a stack, their limits, and where their keys are kept.

    \b
    Example:
      opsctl api-keys list --stack prod --output json
    """  # noqa: D301 - click reads \b
    file = _file(stack)
    found = callers.callers(file.cfg, _deployed(file))
    if form == "json":
        keys = [
            {
                "name": each.name,
                "requestsPerMinute": each.limits.requests_per_minute or file.cfg.access.requests_per_minute,
                "usdPerHour": None if each.limits.usd_per_hour is None else f"{each.limits.usd_per_hour:f}",
                "revision": each.limits.revision,
                "secret": each.arn,
            }
            for each in found
        ]
        write_json({"version": 1, "stack": stack, "keys": keys})
        return
    rows = [
        (
            each.name,
            str(each.limits.requests_per_minute or file.cfg.access.requests_per_minute),
            "" if each.limits.usd_per_hour is None else f"{each.limits.usd_per_hour:f}",
            str(each.limits.revision),
            each.arn or "made by the next `opsctl deploy`",
        )
        for each in found
    ]
    columns = ("caller", "requests/min", "USD/h", "revision", "kept in")
    write_table(data_console(environment.load()), columns, rows, right=(1, 2, 3))


def _file(stack: str) -> ConfigFile:
    return ConfigFile(find_project(), stack, environment.load().environ)


def _deployed(file: ConfigFile) -> Delivery | None:
    try:
        return read_delivery(file.project, file.stack, file.environ)
    except NotDeployed:
        return None


def _talk(text: str) -> None:
    talk_console(environment.load()).print(text)
