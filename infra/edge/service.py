"""EdgeService: the programs of an edge, kept up by a supervisor on this host.

The provider only decides what is called when; `infra.edge.supervisor` does it, `infra.edge.supervisor_conf` spells it.
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
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from infra.edge.bundle import remove_if_empty
from infra.edge.errors import EdgeError, report_in_one_line
from infra.edge.layout import RunFolder, interpreter, project_root
from infra.edge.ports import Listen, conflicts
from infra.edge.readiness import wait_ready
from infra.edge.supervisor import Supervisor
from infra.edge.supervisor_conf import Program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pulumi

RUNNING = "running"


class ServiceInputs(BaseModel):
    """What runs. A field that is added needs a default: it also reads older states."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    home: str
    programs: tuple[Program, ...]
    listen: tuple[Listen, ...]
    ready_url: str
    start_seconds: float


class ProgramArgs(TypedDict):
    """A `Program` as an input: its environment may hold values that are known only later."""

    name: str
    args: Sequence[str]
    environment: Mapping[str, pulumi.Input[str]]
    stopWaitS: int
    fix: str


class ServiceArgs(TypedDict):
    """Inputs of EdgeService.

    home: the stack's edge folder, relative to the project root.
    programs: in the order in which they start.
    listen: every address that they take: {key, host, port}.
    readyUrl: answers 200 once the service can.
    startSeconds: how long that may take.
    """

    home: str
    programs: Sequence[ProgramArgs]
    listen: Sequence[Mapping[str, str | int]]
    readyUrl: str
    startSeconds: float


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
        inputs = ServiceInputs.model_validate(news)
        taken = conflicts(inputs.listen, ours=self._supervisor(inputs).address)
        return CheckResult(news, [CheckFailure("", line) for line in taken])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Other inputs, or programs that are not up: a plain `up` repairs, without a `refresh` before it."""
        old, new = ServiceInputs.model_validate(olds), ServiceInputs.model_validate(news)
        drift = self._supervisor(old).drift(old.programs)
        if drift:
            sys.stderr.write(f"{drift}; `pulumi up` repairs it\n")
        moved = ["home"] if old.home != new.home else []
        return DiffResult(changes=old != new or drift is not None, replaces=moved, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start everything and wait until it answers; a failure leaves nothing running."""
        inputs = ServiceInputs.model_validate(props)
        try:
            self._bring_up(inputs)
        except BaseException:
            self._stop(inputs)
            raise
        return CreateResult(inputs.home, {**props, "state": RUNNING})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Report what is not up as the resource's state."""
        inputs = ServiceInputs.model_validate(props)
        return ReadResult(id_, {**props, "state": self._supervisor(inputs).drift(inputs.programs) or RUNNING})

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Restart what changed and only that; where the new settings don't come up, the old ones are put back."""
        old, new = ServiceInputs.model_validate(olds), ServiceInputs.model_validate(news)
        try:
            self._bring_up(new)
        except EdgeError as exc:
            if old == new:
                raise
            self._supervisor(old).converge(old.programs)
            raise EdgeError(f"{exc} (the settings from before run again)") from exc
        return UpdateResult({**news, "state": RUNNING})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Stop everything and remove every file."""
        self._stop(ServiceInputs.model_validate(props))

    def _bring_up(self, inputs: ServiceInputs) -> None:
        supervisor = self._supervisor(inputs)
        if taken := conflicts(inputs.listen, ours=supervisor.address):
            raise EdgeError("; ".join(taken))
        supervisor.converge(inputs.programs)
        wait_ready(supervisor, inputs.programs, url=inputs.ready_url, limit_s=inputs.start_seconds)

    def _stop(self, inputs: ServiceInputs) -> None:
        self._supervisor(inputs).stop(inputs.programs)
        remove_if_empty(self._root() / inputs.home)

    def _supervisor(self, inputs: ServiceInputs) -> Supervisor:
        return Supervisor(RunFolder(self._root() / inputs.home / "run"), root=self._root(), python=interpreter())

    def _root(self) -> Path:
        return Path(self.root) if self.root else project_root()


class EdgeService(Resource, module="edge", name="EdgeService"):
    """The running edge; `state` is `running`, or what a refresh found instead."""

    state: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(EdgeServiceProvider(), name, {"state": None, **args}, opts)
