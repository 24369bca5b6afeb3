"""What an endpoint consists of now, as AWS reports it, and how that differs from what is wanted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsctl.endpoint.resources import Key, Kind, Resource

BUSY = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
BROKEN = frozenset({"Failed"})


@dataclass(frozen=True, slots=True)
class Part:
    """One object as it is.

    Attributes:
        request: what a create call would be given to make it, as far as AWS tells.
        status: of an endpoint or component.
        reason: why it failed, or why its last update was taken back.
    """

    kind: Kind
    name: str
    request: Mapping[str, Any]
    status: str | None = None
    reason: str | None = None

    @property
    def key(self) -> Key:
        """What tells it from all others of the endpoint."""
        return self.kind, self.name


@dataclass(frozen=True, slots=True)
class State:
    """All parts of one endpoint.

    Attributes:
        foreign: name of a part -> the stack in its tags, for those that aren't this stack's; None where it has no tag.
    """

    parts: Mapping[Key, Part]
    foreign: Mapping[str, str | None]

    def named(self, kind: Kind) -> tuple[Part, ...]:
        """All parts of a kind."""
        return tuple(part for part in self.parts.values() if part.kind == kind)

    @property
    def endpoint(self) -> Part | None:
        """The endpoint itself."""
        return next(iter(self.named("endpoint")), None)

    @property
    def component(self) -> Part | None:
        """Its inference component, where it scales to zero."""
        return next(iter(self.named("component")), None)

    @property
    def busy(self) -> Part | None:
        """What is being changed just now, so that nothing else can be."""
        return next((part for part in (self.endpoint, self.component) if part and part.status in BUSY), None)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that isn't as wanted; `wanted` and `found` are None for a part that is missing, or too many."""

    part: str
    field: str
    wanted: object
    found: object

    def __str__(self) -> str:
        if not self.field:
            return f"{self.part} {self.found}"
        return f"{self.part}: {self.field} is {self.found}, not {self.wanted}"


def differences(wanted: Resource, found: Part | Resource) -> tuple[Difference, ...]:
    """Fields of `wanted` that `found` hasn't; what AWS adds by itself is no difference.

    A model or config has none: what SageMaker can't change is what its name says.
    """
    if wanted.kind in {"model", "config"}:
        return ()
    label = f"{wanted.kind} {wanted.name}"
    return tuple(Difference(label, *each) for each in _unequal(wanted.request, found.request, ""))


def drift(made: Sequence[Resource], state: State) -> tuple[Difference, ...]:
    """What somebody else changed of the objects that were `made`."""
    found: list[Difference] = []
    for resource in made:
        part = state.parts.get(resource.key)
        label = f"{resource.kind} {resource.name}"
        found += [Difference(label, "", None, "is gone")] if part is None else differences(resource, part)
    return tuple(found)


def _unequal(wanted: object, found: object, path: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key, value in wanted.items():
            yield from _unequal(value, found.get(key), f"{path}.{key}".lstrip("."))
    elif _is_list(wanted) and _is_list(found) and len(wanted) == len(found):  # type: ignore[arg-type]
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):  # type: ignore[call-overload]
            yield from _unequal(one, other, f"{path}[{number}]")
    elif wanted != found:
        yield path, wanted, found


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
