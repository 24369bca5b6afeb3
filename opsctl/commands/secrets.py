"""`opsctl secrets`: a stack's secrets; values are taken from a prompt or stdin, and never shown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.credentials import vendors
from opsctl.credentials.config_file import ConfigFile
from opsctl.errors import NotDeployed
from opsctl.output import data_console, talk_console, write_change, write_json, write_table
from opsctl.project import find_project
from opsctl.stack import read_delivery

if TYPE_CHECKING:
    import datetime as dt

    from opsctl.output import Form

stack_option = click.option("-s", "--stack", type=STACK, required=True, help="The stack whose secrets they are.")


@click.group("secrets")
def secrets() -> None:
    """Set, rotate and list the secrets of a stack.

    \b
    Example:
      opsctl secrets set openaiApiKey --stack prod
    """  # noqa: D301 - click reads \b


@secrets.command("set")
@click.argument("name")
@stack_option
@output_option
def set_(*, name: str, stack: str, form: Form) -> None:
    """Write a vendor's secret into the stack config, encrypted; the value is asked for, or read from stdin.

    \b
    Examples:
      opsctl secrets set openaiApiKey --stack prod
      opsctl secrets set mongoUrl --stack prod < url.txt
    """  # noqa: D301 - click reads \b
    typed = sys.stdin.isatty()
    value = click.prompt(name, hide_input=True, err=True) if typed else sys.stdin.read()
    vendors.set_value(_file(stack), name, value)
    write_change(form, "set", stack=stack, name=name)
    _talk(f"{name} is in the config, encrypted; next: `opsctl deploy --stack {stack}`")


@secrets.command("rotate")
@click.argument("name")
@stack_option
@output_option
def rotate(*, name: str, stack: str, form: Form) -> None:
    """Ask for another value of a secret that the stack generates; vendors' are set.

    \b
    Example:
      opsctl secrets rotate apiKey-batch --stack prod
    """  # noqa: D301 - click reads \b
    revision = vendors.rotate(_file(stack), name)
    write_change(form, "rotated", stack=stack, name=name, revision=revision)
    _talk(f"revision {revision} of {name} is in the config; next: `opsctl deploy --stack {stack}`")


@secrets.command("list")
@stack_option
@output_option
def list_(*, stack: str, form: Form) -> None:
    """List every secret, whether it has a value, and when that was written.

    \b
    Example:
      opsctl secrets list --stack prod
    """  # noqa: D301 - click reads \b
    file = _file(stack)
    try:
        delivery = read_delivery(file.project, stack, file.environ)
    except NotDeployed:
        delivery = None
    region = delivery.region if delivery else None

    def changed(arn: str) -> dt.datetime | None:
        from opsctl.aws.secret_dates import changed_at  # noqa: PLC0415 - boto3 is paid when it is needed

        return changed_at(region, arn)

    found = vendors.listed(file.cfg, delivery, changed)
    if form == "json":
        rows = [
            {
                "name": each.name,
                "inConfig": each.given,
                "arn": each.arn,
                "changed": each.changed.isoformat() if each.changed else None,
            }
            for each in found
        ]
        write_json({"version": 1, "stack": stack, "secrets": rows})
        return
    said = {None: "generated", True: "in the config", False: "missing"}
    table = [
        (each.name, said[each.given], f"{each.changed:%Y-%m-%d %H:%M}" if each.changed else "never", each.arn or "")
        for each in found
    ]
    write_table(data_console(environment.load()), ("secret", "value", "written", "kept in"), table)


def _file(stack: str) -> ConfigFile:
    return ConfigFile(find_project(), stack, environment.load().environ)


def _talk(text: str) -> None:
    talk_console(environment.load()).print(text)
