"""EdgeService: the programs of an edge, kept up on this host or on one behind SSH.

The provider only decides what is called when; `infra.edge.running` does it, here or (`infra.edge.hosts`) over there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown

from infra.edge.errors import EdgeError, UnreachableError, report_in_one_line
from infra.edge.hosts.remote import RemoteEdge
from infra.edge.layout import RunFolder, interpreter, project_root
from infra.edge.running import RunningEdge, ServiceInputs
from infra.edge.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    import pulumi

    class Edge(Protocol):
        """The programs of one stack on one host; each method is as of `RunningEdge`."""

        def taken(self, inputs: ServiceInputs) -> tuple[str, ...]: ...  # noqa: D102
        def drift(self, inputs: ServiceInputs) -> str | None: ...  # noqa: D102
        def up(self, inputs: ServiceInputs) -> None: ...  # noqa: D102
        def restore(self, inputs: ServiceInputs) -> None: ...  # noqa: D102
        def stop(self, inputs: ServiceInputs) -> None: ...  # noqa: D102


RUNNING = "running"
KNOWN_LATER = "(known later)"  # in a preview: an output of a resource that isn't built yet


class ProgramArgs(TypedDict):
    """A `Program` as an input: its environment may hold values that are known only later."""

    name: str
    args: Sequence[pulumi.Input[str]]
    environment: Mapping[str, pulumi.Input[str]]
    stopWaitS: int
    fix: str


class ServiceArgs(TypedDict, total=False):
    """Inputs of EdgeService.

    home: the stack's edge folder, relative to the project root.
    programs: in the order in which they start.
    listen: every address that they take: {key, host, port}.
    readyUrl: answers 200 once the service can.
    startSeconds: how long that may take.
    host: of `hybrid.edge.hosts`; absent is this machine.
    release: what an EdgeInstall put onto that host.
    metricsUrl: says there which bundle serves.
    """

    home: str
    programs: Sequence[ProgramArgs]
    listen: Sequence[Mapping[str, str | int]]
    readyUrl: str
    startSeconds: float
    host: str
    release: pulumi.Input[Mapping[str, str]]
    metricsUrl: str


class EdgeServiceProvider(ResourceProvider):
    """Starts, observes, changes and stops the supervisor of one stack.

    Args:
        root: as of EdgeBundleProvider.
    """

    serialize_as_secret_always = False

    def __init__(self, root: str | None = None) -> None:
        super().__init__()
        self.root = root

    def configure(self, req: ConfigureRequest) -> None:
        """Once per process."""
        del req
        report_in_one_line()

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Every port that somebody else has, found before anything is built."""
        inputs = _parsed(news)
        return CheckResult(news, [CheckFailure("", line) for line in self._edge(inputs).taken(inputs)])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Other inputs, or programs that are not up: a plain `up` repairs, without a `refresh` before it."""
        old, new = _parsed(olds), _parsed(news)
        drift = self._edge(old).drift(old)
        if drift:
            sys.stderr.write(f"{drift}; `pulumi up` repairs it\n")
        moved = [name for name in ("home", "host") if getattr(old, name) != getattr(new, name)]
        return DiffResult(changes=old != new or drift is not None, replaces=moved, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start everything and wait until it answers; a failure leaves nothing running."""
        inputs = _parsed(props)
        try:
            self._edge(inputs).up(inputs)
        except BaseException:
            self._edge(inputs).stop(inputs)
            raise
        return CreateResult(inputs.home, {**props, "state": RUNNING})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Report what is not up as the resource's state."""
        inputs = _parsed(props)
        return ReadResult(id_, {**props, "state": self._edge(inputs).drift(inputs) or RUNNING})

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Restart what changed and only that; where the new settings don't come up, the old ones are put back."""
        old, new = _parsed(olds), _parsed(news)
        try:
            self._edge(new).up(new)
        except EdgeError as exc:
            if old == new or isinstance(exc, UnreachableError):
                raise
            self._edge(old).restore(old)
            raise EdgeError(f"{exc} (the settings from before run again)") from exc
        return UpdateResult({**news, "state": RUNNING})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Stop everything and remove every file."""
        inputs = _parsed(props)
        self._edge(inputs).stop(inputs)

    def _edge(self, inputs: ServiceInputs) -> Edge:
        if inputs.host is not None:
            return RemoteEdge.at(inputs.host)
        root = Path(self.root) if self.root else project_root()
        folder = RunFolder(root / inputs.home / "run")
        return RunningEdge(folder, Supervisor(folder, root=root, python=interpreter()))


def _parsed(props: dict[str, Any]) -> ServiceInputs:
    return ServiceInputs.model_validate(_settled(props))


def _settled(value: Any) -> Any:  # noqa: ANN401 - JSON, with unknown values in a preview
    if isinstance(value, Unknown):
        return KNOWN_LATER
    if isinstance(value, dict):
        return {key: _settled(item) for key, item in value.items()}
    return [_settled(item) for item in value] if isinstance(value, list) else value


class EdgeService(Resource, module="edge", name="EdgeService"):
    """The running edge; `state` is `running`, or what a refresh found instead."""

    state: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(EdgeServiceProvider(), name, {"state": None, **args}, opts)
