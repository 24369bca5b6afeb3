"""The steps of a plan: frozen data, each with the step that takes it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsctl.endpoint.resources import Resource
from opsctl.endpoint.state import differences

if TYPE_CHECKING:
    from opsctl.endpoint.ports import Cloud
    from opsctl.endpoint.resources import Key, Request
    from opsctl.endpoint.state import Part

UNMAKEABLE = frozenset({"endpoint", "component"})  # what is gone of these can't come back without a deployment


@dataclass(frozen=True, slots=True)
class Create:
    """Make an object."""

    resource: Resource
    verb = "create"

    @property
    def key(self) -> Key:
        """The object that it is about."""
        return self.resource.key

    def act(self, cloud: Cloud) -> None:
        """Do it."""
        cloud.create(self.resource)

    @property
    def undo(self) -> Step | None:
        """Take it away again."""
        return Remove(self.resource)


@dataclass(frozen=True, slots=True)
class Change:
    """Bring an object to another request.

    Attributes:
        before: what it was.
        how: the manner: how traffic is shifted, and what takes it back.
    """

    resource: Resource
    before: Resource
    how: Request = field(default_factory=dict, hash=False)
    verb = "change"

    @property
    def key(self) -> Key:
        """The object that it is about."""
        return self.resource.key

    def act(self, cloud: Cloud) -> None:
        """Do it."""
        cloud.change(self.resource, self.how)

    @property
    def undo(self) -> Step | None:
        """Back to what it was."""
        return Change(self.before, self.resource, self.how)


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete an object; `before` is what it was."""

    before: Resource
    verb = "remove"

    @property
    def key(self) -> Key:
        """The object that it is about."""
        return self.before.key

    def act(self, cloud: Cloud) -> None:
        """Do it."""
        cloud.remove(self.before)

    @property
    def undo(self) -> Step | None:
        """Make it again, where that is one call and takes nothing from the users."""
        return None if self.key[0] in UNMAKEABLE else Create(self.before)


Step = Create | Change | Remove


def resource_of(part: Part) -> Resource:
    """What would make the part as it is."""
    return Resource(part.kind, part.name, part.request)


def changes(step: Step) -> tuple[str, ...]:
    """The fields that a step changes, from what to what; none for one that makes or removes."""
    if not isinstance(step, Change):
        return ()
    return tuple(f"{each.field} {each.found} -> {each.wanted}" for each in differences(step.resource, step.before))


def told(step: Step) -> str:
    """A step in three words."""
    kind, name = step.key
    return f"{step.verb} {kind} {name}"
