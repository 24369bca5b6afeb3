"""`opsctl edge`: the edges of a hybrid stack, one after the other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.errors import CheckFailed, NotUsable
from opsctl.output import data_console, talk_console, working, write_json, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.edge.hosts import EdgeHost
    from opsctl.edge.look import Look
    from opsctl.output import Form

UPDATE_S = 3600.0  # a bundle of a gigabyte over a thin line


@click.group("edge")
def edge() -> None:
    """Look at the edges of a stack, bring them the newest bundle, or take them back to the one before.

    \b
    Example:
      opsctl edge status --stack prod
    """  # noqa: D301 - click reads \b


def _target(command: Callable[..., Any]) -> Callable[..., Any]:
    stack = click.option("-s", "--stack", type=STACK, required=True, help="The hybrid stack.")
    host = click.option("--host", help="Only this one, as hybrid.edge.hosts spells it.")
    return stack(host(output_option(command)))


@edge.command("status")
@_target
def status(*, stack: str, host: str | None, form: Form) -> None:
    """Show each edge's release, bundle, recall, last look at the bucket, and who answered since it started.

    Ends with 1 if one can't be reached, isn't ready, or answers from another bundle than it should. Offline is fine.

    \b
    Example:
      opsctl edge status --stack prod --output json
    """  # noqa: D301 - click reads \b
    found = _looks(_edges(stack, host))
    _show(stack, found, form)


@edge.command("update")
@_target
def update(*, stack: str, host: str | None, form: Form) -> None:
    """Bring each edge the newest bundle of the bucket now, even one that it was taken back from.

    No request fails. It stops at the first edge that doesn't answer from its new bundle; those before it keep theirs.

    \b
    Example:
      opsctl edge update --stack prod
    """  # noqa: D301 - click reads \b

    def pull(each: EdgeHost) -> None:
        sync = each.programs.get("sync")
        if sync is None:
            raise NotUsable(
                f"edge {each.name} has no bucket to look at",
                next_step="set aws:region, and don't set hybrid.bundle.bucket false; then `pulumi up`",
            )
        words = [*_without(sync.args[2:], "--every-s"), "--again"]
        each.job("sync_bundle", words, sync.environment, limit_s=UPDATE_S)

    _each(stack, host, form, pull, "looking for a newer bundle")


@edge.command("rollback")
@_target
def rollback(*, stack: str, host: str | None, form: Form) -> None:
    """Take each edge back to the bundle before the one that it answers from, which is kept on its disk.

    No request fails, and nothing is needed from the cloud. The edge takes the next export by itself again.

    \b
    Example:
      opsctl edge rollback --stack prod --host ssh://edge@device
    """  # noqa: D301 - click reads \b

    def back(each: EdgeHost) -> None:
        each.job("edge_bundles", ["back", "--home", each.home], {})

    _each(stack, host, form, back, "going back")


def _each(stack: str, host: str | None, form: Form, act: Callable[[EdgeHost], None], what: str) -> None:
    """Act on one edge after the other; the first that is not well afterwards ends it."""
    from opsctl.edge.look import wait_serving  # noqa: PLC0415 - as below

    talk, done = talk_console(environment.load()), []
    edges = _edges(stack, host)
    for each in edges:
        with working(talk, f"edge {each.name}: {what} ..."):
            act(each)
            current = each.job("edge_bundles", ["status", "--home", each.home], {})["current"]
            wait_serving(each, current)
        done.append(each)
    _show(stack, _looks(done), form)


def _edges(stack: str, host: str | None) -> list[EdgeHost]:
    from opsctl.edge.hosts import edges  # noqa: PLC0415 - the engine and the transport; help must not wait for them
    from opsctl.stack import read_resources  # noqa: PLC0415

    return edges(read_resources(find_project(), stack, environment.load().environ), host)


def _looks(edges: list[EdgeHost]) -> list[Look]:
    from opsctl.edge.look import look  # noqa: PLC0415 - as above

    return [look(each) for each in edges]


def _without(words: tuple[str, ...], option: str) -> list[str]:
    """The words without an option and its value."""
    at = words.index(option) if option in words else len(words)
    return [*words[:at], *words[at + 2 :]]


def _show(stack: str, found: list[Look], form: Form) -> None:
    if form == "json":
        write_json({"version": 1, "stack": stack, "edges": [_document(each) for each in found]})
    else:
        rows = [row for each in found for row in _rows(each)]
        write_table(data_console(environment.load()), (f"stack {stack}", "", ""), rows)
    if ill := [each.name for each in found if each.problem]:
        raise CheckFailed(f"edge {', '.join(ill)}: not as it should be", next_step="the report says what to do")


def _rows(one: Look) -> list[tuple[str, str, str]]:
    sync = one.kept.get("sync") or {}
    served = ", ".join(f"{count} by {who}" for who, count in sorted(one.served.items())) or "none yet"
    kept = [each["id"] for each in one.kept.get("bundles", []) if each["id"] != one.kept.get("current")]
    rows = [
        ("state", one.problem or "ok"),
        ("release", one.release or "not known"),
        ("bundle", f"{one.serving.get('id', 'not known')}, made {one.serving.get('created', '?')}"),
        ("index", f"{one.serving.get('index', '?')}, recall@10 {one.serving.get('recall_at_10', '?')}"),
        ("chunks", one.serving.get("chunks", "?")),
        ("kept", ", ".join(kept) or "none"),
        ("cloud", _cloud(one)),
        ("last look", f"{sync['checked']}: {sync['state']}: {sync['said']}" if sync else "never"),
        ("answers", served),
    ]
    return [(one.name if not number else "", *row) for number, row in enumerate(rows)]


def _cloud(one: Look) -> str:
    if one.pushed is None and one.online is None:
        return "not heard of"
    heard = f", counts arrived {_moment(one.pushed)}" if one.pushed else ""
    return f"{'online' if one.online or (one.online is None and one.pushed) else 'offline'}{heard}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _document(one: Look) -> dict[str, object]:
    return {
        "host": one.name,
        "ok": one.problem is None,
        "problem": one.problem,
        "release": one.release,
        "serving": {
            "id": one.serving.get("id"),
            "created": one.serving.get("created"),
            "index": one.serving.get("index"),
            "recallAt10": float(one.serving["recall_at_10"]) if "recall_at_10" in one.serving else None,
            "chunks": int(one.serving["chunks"]) if "chunks" in one.serving else None,
        },
        "bundles": one.kept.get("bundles", []),
        "sync": one.kept.get("sync"),
        "online": one.online,
        "countsArrived": None if one.pushed is None else _moment(one.pushed),
        "served": dict(one.served),
    }
