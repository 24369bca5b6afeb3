"""`opsctl prices`: the catalog that cost reports are priced from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import output_option
from opsctl.errors import NotUsable
from opsctl.output import data_console, talk_console, working, write_json, write_table

if TYPE_CHECKING:
    from opsctl.output import Form

REGION = r"[a-z]{2}(-[a-z]+)+-\d"


@click.group("prices")
def prices() -> None:
    """Handle the catalog that cost reports are priced from.

    \b
    Example:
      opsctl prices refresh --region eu-west-1 --write
    """  # noqa: D301 - click reads \b


@prices.command("refresh")
@click.option("--region", required=True, help="Whose prices; a region without a file gets one.")
@click.option("--write/--dry-run", default=False, help="Write the file; without it only the difference is shown.")
@output_option
def refresh(*, region: str, write: bool, form: Form) -> None:
    """Read every price of a region again from the AWS price list, and show what changed.

    Needs pricing:GetProducts; costs nothing. Exactly one product must fit a row, or the row stays as it is.

    \b
    Example:
      opsctl prices refresh --region eu-west-1
    """  # noqa: D301 - click reads \b
    import re  # noqa: PLC0415

    from opsctl.aws.pricing import products  # noqa: PLC0415 - boto3: help must not wait for it
    from opsctl.cost import refreshing  # noqa: PLC0415

    if not re.fullmatch(REGION, region):
        raise NotUsable(f"--region {region}: is no AWS region", next_step="give one like eu-west-1")
    settings = environment.load()
    with working(talk_console(settings), f"reading the price list of {region}"):
        changes = refreshing.refreshed(region, products)
    told = [each for each in changes if each.after != each.before or each.why]
    rows = [(each.key, _steps(each.before), _steps(each.after), each.why) for each in told]
    changed = sum(each.after != each.before for each in changes)
    if form == "json":
        listed = [{"price": key, "was": was, "is": now, "keptBecause": why} for key, was, now, why in rows]
        write_json({"version": 1, "region": region, "changed": changed, "written": write, "prices": listed})
    else:
        write_table(data_console(settings), ("price", "was", "is", "kept because"), rows)
    if write and changed:
        file = refreshing.write(region, refreshing.text_of(region, changes))
        talk_console(settings).print(
            f"{changed} of {len(changes)} rows changed: wrote {file}; read the diff, then commit"
        )
    else:
        talk_console(settings).print(f"{changed} of {len(changes)} rows would change" if changed else "nothing changed")


def _steps(price: object) -> str:
    from opsctl.cost.catalog import Price  # noqa: PLC0415

    return ", ".join(f"{step.usd:f}" for step in price.steps) if isinstance(price, Price) else "-"
