"""What the engine's state says that a stack promises: to that it is brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opsctl.stack import read_resources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsctl.project import Project


class Held:
    """The stack's resources by type."""

    def __init__(self, resources: Sequence[Mapping[str, Any]]) -> None:
        self._resources = resources

    @classmethod
    def read(cls, project: Project, stack: str, environ: Mapping[str, str]) -> Held:
        """Ask the engine.

        Raises:
            StackNotFound, NotDeployed, ToolMissing, CloudRefused, TimedOut
        """
        return cls(read_resources(project, stack, environ))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Inputs and outputs of the resources of a type, the latter on top."""
        found = [each for each in self._resources if each["type"] == kind and not each.get("delete")]
        return [{**(each.get("inputs") or {}), **(each.get("outputs") or {})} for each in found]
