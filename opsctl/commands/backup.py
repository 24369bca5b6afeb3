"""`opsctl backup` and `opsctl restore`: copies of a stack's self-hosted stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option, seconds_option
from opsctl.consent import confirm
from opsctl.output import data_console, talk_console, write_json, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.aws.copies import Copy
    from opsctl.jobs.backups import Backups
    from opsctl.output import Form

FOUR_HOURS_S = 4 * 3600.0
MIB = 1024 * 1024


@click.command("backup")
@click.argument("stores", nargs=-1, metavar="[mongo|qdrant]...")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack whose stores are copied.")
@click.option("--list", "only_list", is_flag=True, help="List the copies there are; make none.")
@seconds_option("--timeout", "limit_s", FOUR_HOURS_S, "Seconds that each copy is followed; it goes on unwatched.")
@output_option
def backup(*, stores: tuple[str, ...], stack: str, only_list: bool, limit_s: float, form: Form) -> None:
    """Copy self-hosted MongoDB and Qdrant into the stack's bucket now, by a job where the stack runs.

    Without a name all of them; each night one is made by itself (EKS), or the volumes are saved (ECS). A copy is a
    folder that counts once its list of files is there.

    \b
    Examples:
      opsctl backup --stack prod
      opsctl backup --stack prod --list
    """  # noqa: D301 - click reads \b
    from opsctl.jobs.watch import watch  # noqa: PLC0415

    backups, talk = _open(stack), talk_console(environment.load())
    for store in () if only_list else backups.chosen(stores):
        job = backups.save(store)
        talk.print(f"{store}: {job.name}; {job.again}")
        watch(job, talk, limit_s=limit_s)
    found = [copy for store in backups.chosen(stores) for copy in backups.listed(store)]
    if form == "json":
        write_json({"version": 1, "stack": stack, "copies": [_document(copy) for copy in found]})
        return
    rows = [
        (copy.store, copy.stamp, "" if copy.finished else "unfinished", f"{copy.size / MIB:,.1f}") for copy in found
    ]
    write_table(data_console(environment.load()), (f"stack {stack}", "made", "", "MiB"), rows, right=[3])


@click.command("restore")
@click.argument("store", metavar="mongo|qdrant")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack whose store gets the copy.")
@click.option("--from", "stamp", default="latest", show_default=True, help="When it was made, as --list spells it.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask before replacing what is there.")
@seconds_option("--timeout", "limit_s", FOUR_HOURS_S, "Seconds that it is followed; it goes on unwatched.")
@output_option
def restore(*, store: str, stack: str, stamp: str, yes: bool, limit_s: float, form: Form) -> None:
    """Put a copy in the place of what a self-hosted store has: each collection that it holds, whole; others stay.

    Stop what writes (an ingestion) before; the service goes on and answers from what is there.

    \b
    Example:
      opsctl restore mongo --stack prod --from 20261126T030000Z
    """  # noqa: D301 - click reads \b
    from opsctl.jobs.watch import watch  # noqa: PLC0415

    backups, talk = _open(stack), talk_console(environment.load())
    backups.chosen((store,))
    copy = backups.found(store, stamp)
    talk.print(f"stack {stack}: {store} gets what {copy.uri} holds, {copy.size / MIB:,.1f} MiB")
    confirm("Replace what is there?", yes=yes, read="the line above")
    job = backups.restore(copy)
    talk.print(f"{job.name}; {job.again}")
    watch(job, talk, limit_s=limit_s)
    if form == "json":
        write_json({"version": 1, "stack": stack, "restored": _document(copy), "job": job.name})
    else:
        data_console(environment.load()).print(f"{store} holds {copy.uri}", soft_wrap=True)
    talk.print(f"next: `opsctl smoke-test --stack {stack}`")


def _open(stack: str) -> Backups:
    from opsctl.jobs.backups import Backups  # noqa: PLC0415
    from opsctl.stack import read_delivery  # noqa: PLC0415

    return Backups.of(stack, read_delivery(find_project(), stack, environment.load().environ))


def _document(copy: Copy) -> dict[str, object]:
    return {"store": copy.store, "made": copy.stamp, "uri": copy.uri, "finished": copy.finished, "bytes": copy.size}
