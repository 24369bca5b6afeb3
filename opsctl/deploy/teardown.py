"""The end of a stack: what must be lifted before, what is deleted, and what stays and is paid for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsctl.deploy.progress import update_progress
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from opsctl.deploy.engine import Changes, Engine, Resource
    from opsctl.deploy.price import Price

NAMED = 3  # of many, in an error's one line
# What outlives its maker, by the type of the maker.
STAYS = {
    "aws:dlm/lifecyclePolicy:LifecyclePolicy": "snapshots that the nightly policy made, by the GB and month: "
    "`aws ec2 describe-snapshots --owner-ids self --filters Name=tag:stack,Values={stack}`",
    "kubernetes:storage.k8s.io/v1:StorageClass": "volumes of claims, where their class keeps them: "
    "`aws ec2 describe-volumes --filters Name=status,Values=available`",
}


@dataclass(slots=True)
class Teardown:
    """What became of it; public contract of `--output json`, version 1."""

    stack: str
    deleted: Changes = field(default_factory=dict)
    stays: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {"version": 1, "stack": self.stack, "deleted": self.deleted, "stays": list(self.stays)}


def refuse(stack: str, resources: Sequence[Resource], endpoint: tuple[str, str] | None) -> None:
    """Stop where the engine would fail half way, or where the dearest part would be left behind.

    Args:
        stack: its name.
        resources: what it has.
        endpoint: name and status of its model endpoint, which is no resource of the stack; None where it has none.

    Raises:
        NotUsable: names what to do first.
    """
    protected = [each.name for each in resources if each.protected]
    if protected:
        more = f" and {len(protected) - NAMED} more" if len(protected) > NAMED else ""
        raise NotUsable(
            f"{len(protected)} resources of stack '{stack}' are protected ({', '.join(protected[:NAMED])}{more})",
            next_step=f"`pulumi config set protect false --stack {stack}`, `opsctl deploy --stack {stack}`, then again",
        )
    if endpoint is not None:
        name, status = endpoint
        raise NotUsable(
            f"the model endpoint '{name}' is {status} and is paid by the hour; a stack's end does not delete it",
            next_step=f"`opsctl endpoint delete --stack {stack}`, then again",
        )


def stays(stack: str, resources: Sequence[Resource]) -> tuple[str, ...]:
    """What will be there afterwards, and how to find it."""
    kinds = {each.type for each in resources}
    return tuple(text.format(stack=stack) for kind, text in STAYS.items() if kind in kinds)


def tear_down(
    engine: Engine,
    endpoint: Callable[[], tuple[str, str] | None],
    talk: Console,
    consent: Callable[[Changes, Price | None], None],
) -> Teardown:
    """Refuse, or ask and delete.

    Raises:
        NotUsable, CloudRefused
    """
    resources = engine.resources()
    refuse(engine.name, resources, endpoint())
    done = Teardown(engine.name, stays=stays(engine.name, resources))
    if not resources:
        talk.print("the stack has nothing")
        return done
    for text in done.stays:
        talk.print(f"stays: {text}")
    consent({"delete": len(resources)}, None)
    with update_progress(talk, len(resources)) as tell:
        done.deleted = engine.destroy(tell)
    return done
