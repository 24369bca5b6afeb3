"""`opsctl cost-report`: what a stack will cost, priced from the program that `pulumi up` runs."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, FileToWrite
from opsctl.errors import CheckFailed, NotUsable
from opsctl.output import data_console, write_table
from opsctl.project import find_project
from opsctl.render import RENDERERS, renderer

if TYPE_CHECKING:
    from opsctl.sheet import Sheet

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _share(ctx: click.Context, param: click.Parameter, value: str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        share = Decimal(value.removesuffix("%")) / 100
    except InvalidOperation:
        share = Decimal("NaN")
    if not (share.is_finite() and share >= 0):
        raise click.BadParameter(f"'{value}' is not like 10%", ctx=ctx, param=param)
    return share


@click.command("cost-report")
@click.option("-s", "--stack", type=STACK, default="dev", show_default=True, help="Its stack file is priced.")
@click.option("--stack-file", type=FILE, help="A stack file of any name, in place of --stack.")
@click.option("--preview", type=FILE, help="Price what `pulumi preview --json` or `pulumi stack export` wrote.")
@click.option("--usage", "profile", default="expected", show_default=True, help="low, expected, high, or a YAML file.")
@click.option("--set", "figures", multiple=True, metavar="NAME=VALUE", help="Change one figure of the usage.")
@click.option("--free-tier", is_flag=True, help="Take off what AWS gives each account for nothing.")
@click.option("--region", help="Price it in another region.")
@click.option("--format", "form", type=click.Choice([*RENDERERS]), default="table", show_default=True)
@click.option("--out", type=FileToWrite(), help="Write to a file.")
@click.option("--compare", metavar="ecs,hybrid", help="The same use on several topologies, side by side.")
@click.option("--sweep", metavar="queries_per_month=1e3..1e7", help="Cost over a range; with --compare, the crossings.")
@click.option("--diff", "other", type=FILE, help="What changed since another stack file, or a report in JSON.")
@click.option("--fail-over", "limit", metavar="10%", callback=_share, help="With --diff: 1 where it grew by more.")
@click.option("--optimise", is_flag=True, help="What would make it cheaper, and what that costs.")
@click.option("--guide", is_flag=True, help="The deployment guide's own figures beside the true ones.")
@click.option("--actual", is_flag=True, help="With --month: what was billed beside the estimate.")
@click.option("--month", metavar="2026-10", help="The month of --actual.")
@click.option("--allow-paid-api", "allowed", is_flag=True, help="Don't ask before the paid calls of --actual.")
@click.option("--live", is_flag=True, help="What the deployed stack burns in an hour, from what runs now.")
@click.option("--explain", metavar="LINE", help="The arithmetic and the source of one line, by its id.")
@click.option("--strict", is_flag=True, help="End with 1 where a price is missing.")
def cost_report(
    *,
    stack: str,
    stack_file: Path | None,
    preview: Path | None,
    profile: str,
    figures: tuple[str, ...],
    free_tier: bool,
    region: str | None,
    form: str,
    out: Path | None,
    compare: str | None,
    sweep: str | None,
    other: Path | None,
    limit: Decimal | None,
    optimise: bool,
    guide: bool,
    actual: bool,
    month: str | None,
    allowed: bool,
    live: bool,
    explain: str | None,
    strict: bool,
) -> None:
    """Say what a stack costs in a month, line by line, without a cloud account.

    \b
    Examples:
      opsctl cost-report --stack prod
      opsctl cost-report --stack prod --usage high --format json --strict
      opsctl cost-report --stack prod --compare ecs,hybrid --sweep queries_per_month=1e3..1e7
      opsctl cost-report --stack dev --explain egress/egress.internet.gb
    """  # noqa: D301 - click reads \b
    given = {"compare or --sweep": compare or sweep, "diff": other, "optimise": optimise, "guide": guide}
    _alone([name for name, value in {**given, "explain": explain, "actual": actual, "live": live}.items() if value])
    if limit is not None and other is None:
        raise click.UsageError("--fail-over goes with --diff")
    if preview is not None and (optimise or guide or live):
        raise click.UsageError("--preview goes with no view that runs the program or asks the cloud: leave it out")
    if actual != (month is not None):
        raise click.UsageError("--actual and --month go together")
    from opsctl.cost import ask  # noqa: PLC0415 - Pulumi and its AWS modules: help must not wait for them

    file = stack_file or find_project().root / f"Pulumi.{stack}.yaml"
    pricing = ask.pricing_of(
        file, profile=profile, figures=figures, region=region, preview=preview, free_tier=free_tier
    )
    if explain is not None:
        for lines in ask.explained(pricing, explain):
            write_table(data_console(environment.load()), ("", ""), lines)
        return
    if actual or live:
        from opsctl.cost import observed  # noqa: PLC0415 - boto3: only what asks the cloud pays for it

        environ, past = environment.load().environ, observed.Past(month or "", allowed)
        sheet = observed.actual_sheet(pricing, past, environ) if actual else observed.live_sheet(pricing, environ)
    else:
        sheet = ask.answer(pricing, ask.Question(compare, sweep, other, optimise, guide))
    _write(renderer(form)(sheet), out)
    if form == "csv":  # has no place for notes, and a stale or missing price must be told in every format
        click.echo("\n".join(sheet.notes), err=True)
    _judge(sheet, strict=strict, limit=limit)


def _alone(chosen: list[str]) -> None:
    if len(chosen) > 1:
        raise click.UsageError(f"--{' and --'.join(chosen)} can't go together")


def _write(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
    else:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as exc:
            raise NotUsable(
                f"--out {out}: {exc.strerror}", next_step="give a file in a folder that is there and yours"
            ) from exc


def _judge(sheet: Sheet, *, strict: bool, limit: Decimal | None) -> None:
    if strict and sheet.incomplete:
        raise CheckFailed(
            f"the report is incomplete: {'; '.join(sheet.incomplete)}",
            next_step="add the missing rows to the price catalog, or quotes to the usage file",
        )
    if limit is not None:
        from opsctl.cost.views.difference import overgrown  # noqa: PLC0415 - with --diff it is there already

        if grown := overgrown(sheet.document, limit):
            raise CheckFailed(grown, next_step="see what --optimise offers, or raise the limit")
