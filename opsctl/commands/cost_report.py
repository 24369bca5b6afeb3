"""`opsctl cost-report`: what a stack will cost, priced from the program that `pulumi up` runs."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.cost import catalog, formats, usage
from opsctl.cost.report import report as priced
from opsctl.errors import CheckFailed, NotUsable
from opsctl.output import data_console, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.cost.report import Report
    from opsctl.settings import Settings

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("cost-report")
@click.option(
    "-s", "--stack", default="dev", show_default=True, help="The stack whose file Pulumi.STACK.yaml is priced."
)
@click.option("--stack-file", type=FILE, help="A stack file of any name, in place of --stack.")
@click.option("--preview", type=FILE, help="Price what `pulumi preview --json` wrote instead of running the program.")
@click.option("--usage", "profile", default="expected", show_default=True, help="low, expected, high, or a YAML file.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change one figure of the usage.")
@click.option("--region", help="Price it in another region.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv", "markdown"]), default="table", show_default=True
)
@click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write to a file.")
@click.option("--explain", "line", metavar="LINE", help="Print the arithmetic and the source of one line, by its id.")
@click.option("--strict", is_flag=True, help="End with 1 where a price is missing.")
def cost_report(
    *,
    stack: str,
    stack_file: Path | None,
    preview: Path | None,
    profile: str,
    changes: tuple[str, ...],
    region: str | None,
    form: str,
    out: Path | None,
    line: str | None,
    strict: bool,
) -> None:
    """Say what a stack costs in a month, line by line, without a cloud account.

    \b
    Examples:
      opsctl cost-report --stack prod
      opsctl cost-report --stack prod --usage high --format json --strict
      opsctl cost-report --stack dev --set queries_per_month=250000 --explain egress/egress.internet.gb
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    found = _report(stack_file or find_project().root / f"Pulumi.{stack}.yaml", preview, profile, changes, region)
    if line is not None:
        _explain(found, line, settings)
    else:
        _write(found, form, out, settings)
    if strict and found.incomplete:
        raise CheckFailed(
            f"the report is incomplete: {'; '.join(found.incomplete)}",
            next_step="add the missing rows to the price catalog, or quotes to the usage file",
        )


def _report(file: Path, preview: Path | None, profile: str, changes: tuple[str, ...], region: str | None) -> Report:
    from infra import offline  # noqa: PLC0415 - Pulumi and its AWS modules: only a run that prices pays for them
    from opsctl.cost.components import Situation  # noqa: PLC0415
    from opsctl.cost.stack_source import previewed, stack_config  # noqa: PLC0415

    used = usage.load(profile, changes)
    config = stack_config(file)
    prices = catalog.load(region or config.region or "us-east-1")
    program = offline.declare(config) if preview is None else previewed(preview)
    return priced(Situation(config, program, used), prices, today=dt.datetime.now(tz=dt.UTC).date())


def _explain(found: Report, wanted: str, settings: Settings) -> None:
    lines = [each for each in found.lines if each.component.id == wanted]
    if not lines:
        names = ", ".join(each.component.id for each in found.lines)
        raise NotUsable(f"--explain {wanted}: there is no such line", next_step=f"lines are {names}")
    for each in lines:
        write_table(data_console(settings), ("", ""), formats.explain(each))


def _write(found: Report, form: str, out: Path | None, settings: Settings) -> None:
    if form == "table":
        _table(found, out, settings)
        return
    texts = {
        "json": lambda: json.dumps(formats.document(found), indent=2, ensure_ascii=False) + "\n",
        "csv": lambda: formats.as_csv(found),
        "markdown": lambda: formats.as_markdown(found),
    }
    if out is None:
        click.echo(texts[form](), nl=False)
    else:
        out.write_text(texts[form](), encoding="utf-8")


def _table(found: Report, out: Path | None, settings: Settings) -> None:
    console = data_console(settings)
    if out is None:
        formats.show(console, found)
        return
    with console.capture() as captured:
        formats.show(console, found)
    out.write_text(captured.get(), encoding="utf-8")
