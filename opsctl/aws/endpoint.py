"""The cloud port of model endpoints, at AWS.

Every call may be repeated: a try whose answer was lost has done its work, so "is there already" and "is gone" are fine;
what came of it is for the verdict to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, cast

from botocore.exceptions import ClientError

from opsctl.aws.endpoint_parts import HANDLERS, Handler
from opsctl.aws.endpoint_state import Clients, is_missing, look_at_component, look_at_endpoint, observed
from opsctl.aws.logs import newest_lines
from opsctl.aws.session import translated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsctl.endpoint.names import Names
    from opsctl.endpoint.resources import Key, Request, Resource
    from opsctl.endpoint.state import Part, State

LOG_GROUPS = {"endpoint": "/aws/sagemaker/Endpoints/", "component": "/aws/sagemaker/InferenceComponents/"}
LOG_LINES = 10


class SageMakerCloud:
    """One stack's endpoints in one region; `tags` go on everything that is made."""

    def __init__(self, clients: Clients, stack: str, tags: Mapping[str, str]) -> None:
        self._clients, self._stack = clients, stack
        self._handlers = {kind: cast("Handler", handler(clients, tags)) for kind, handler in HANDLERS.items()}

    @classmethod
    def open(cls, region: str, stack: str, tags: Mapping[str, str]) -> Self:
        """Through clients of its own."""
        return cls(Clients.open(region), stack, tags)

    def observe(self, names: Names) -> State:
        """All parts of the endpoint."""
        with translated(f"endpoint '{names.endpoint}'"):
            return observed(self._clients, names, self._stack)

    def look(self, key: Key) -> Part | None:
        """An endpoint or component as it is now; None if there is none."""
        kind, name = key
        with translated(f"{kind} '{name}'"):
            if kind == "endpoint":
                return look_at_endpoint(self._clients, name)
            return look_at_component(self._clients, name)

    def create(self, resource: Resource) -> None:
        """Make it."""
        with translated(_label(resource), to="create"):
            try:
                self._handlers[resource.kind].create(resource)
            except ClientError as exc:
                if "already exist" not in str(exc):
                    raise

    def change(self, resource: Resource, how: Request) -> None:
        """Bring it to its request; `how` says in which manner."""
        with translated(_label(resource), to="change"):
            try:
                self._handlers[resource.kind].change(resource, how)
            except ClientError as exc:
                if "in-progress" not in str(exc):
                    raise

    def remove(self, resource: Resource) -> None:
        """Delete it."""
        with translated(_label(resource), to="delete"):
            try:
                self._handlers[resource.kind].remove(resource)
            except ClientError as exc:
                if not is_missing(exc) and "in-progress" not in str(exc):
                    raise

    def last_words(self, key: Key) -> tuple[str, ...]:
        """The newest log lines of its containers."""
        kind, name = key
        return newest_lines(self._clients.sagemaker.meta.region_name, LOG_GROUPS[kind] + name, LOG_LINES)


def _label(resource: Resource) -> str:
    return f"{resource.kind} '{resource.name}'"
