"""What a rule is: a plain function from a resource to what is wrong with it; nothing here is of the engine's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Props = Mapping[str, Any]
Found = Iterator[str]


@dataclass(frozen=True)
class Resource:
    """A resource as rules see it; `tags` are its own and its provider's default ones."""

    type: str
    name: str
    props: Props
    tags: Mapping[str, str]
    urn: str = ""


@dataclass(frozen=True)
class ResourceRule:
    """A rule about one resource at a time.

    Attributes:
        types: the type tokens that it speaks about.
        fix: what to do about it.
        remedy: the inputs made right, where a safe fix is certain.
    """

    name: str
    description: str
    types: tuple[str, ...]
    check: Callable[[Resource], Found]
    fix: str
    remedy: Callable[[Resource], dict[str, Any] | None] | None = None

    def covers(self, kind: str) -> bool:
        """Whether the rule speaks about this type; `*` is every type."""
        return "*" in self.types or kind in self.types


@dataclass(frozen=True)
class StackRule:
    """A rule about resources together; speaks once all of them are known."""

    name: str
    description: str
    check: Callable[[Sequence[Resource]], Found]
    fix: str


def rule(
    name: str,
    check: Callable[[Resource], Found],
    fix: str,
    *types: str,
    remedy: Callable[[Resource], dict[str, Any] | None] | None = None,
) -> ResourceRule:
    """A rule whose description is the check's own docstring."""
    return ResourceRule(name, (check.__doc__ or "").strip(), types, check, fix, remedy)


def stack_rule(name: str, check: Callable[[Sequence[Resource]], Found], fix: str) -> StackRule:
    """The same for resources together."""
    return StackRule(name, (check.__doc__ or "").strip(), check, fix)


def parsed(text: object) -> Any:  # noqa: ANN401 - JSON
    """A JSON input as data; already parsed ones pass."""
    return json.loads(text) if isinstance(text, str) else text


def listed(value: object) -> list[Any]:
    """One or several as a list, as IAM documents have it."""
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def statements(policy: object) -> list[dict[str, Any]]:
    """The statements of an IAM document."""
    return listed((parsed(policy) or {}).get("Statement"))


def of_type(resources: Sequence[Resource], *types: str) -> list[Resource]:
    """The resources of these types."""
    return [resource for resource in resources if resource.type in types]
