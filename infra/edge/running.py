"""An edge as it runs on the very host where this code runs: brought up, observed, stopped.

The operator's own machine calls it directly; on a host behind SSH `infra.edge.on_host` does. It must not import Pulumi,
which no host has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from infra.edge.errors import EdgeError
from infra.edge.layout import RunFolder, remove_if_empty
from infra.edge.ports import Listen, conflicts
from infra.edge.readiness import wait_ready
from infra.edge.supervisor_conf import Program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from infra.edge.supervisor_rpc import ProgramState

    class Manager(Protocol):
        """Keeps programs up: supervisord, or systemd."""

        @property
        def address(self) -> str:
            """What its programs carry in their environment as SUPERVISOR_SERVER_URL."""

        def states(self) -> tuple[ProgramState, ...]:
            """The programs as they are; empty where it keeps none."""

        def tail(self, program: str) -> list[str]:
            """What a program said last."""

        def drift(self, programs: Sequence[Program]) -> str | None:
            """What is not as it should be, in a few words."""

        def converge(self, programs: Sequence[Program]) -> None:
            """Start, restart and stop until exactly `programs` run."""

        def stop(self, programs: Sequence[Program]) -> None:
            """End everything without a trace."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")


class Release(_Record):
    """What an EdgeInstall put onto a host: names below its folder `base`, each after its content.

    Attributes:
        base: the stack's folder on the host, absolute.
        env: the Python environment.
        app: the code.
        bundle: index and texts.
        synced: the host takes newer bundles by itself: `bundle` is the one that it began with.
        manager: who keeps programs up there.
    """

    base: str
    env: str
    app: str
    bundle: str
    synced: bool = False
    manager: Literal["supervisor", "systemd", "(known later)"] = "supervisor"

    @property
    def python(self) -> str:
        """The interpreter."""
        return f"{self.base}/{self.env}/bin/python"


class ServiceInputs(_Record):
    """What runs. A field that is added needs a default: it also reads older states."""

    home: str
    programs: tuple[Program, ...]
    listen: tuple[Listen, ...]
    ready_url: str
    start_seconds: float
    host: str | None = None  # of `hybrid.edge.hosts`; None is this machine
    release: Release | None = None  # on a host behind SSH
    metrics_url: str | None = None  # says which bundle serves


@dataclass(frozen=True, slots=True)
class RunningEdge:
    """The programs of one stack on this host; `folder` is where their supervisor keeps its files."""

    folder: RunFolder
    manager: Manager

    def taken(self, inputs: ServiceInputs) -> tuple[str, ...]:
        """A line for every port that somebody else has."""
        return conflicts(inputs.listen, ours=self.manager.address)

    def drift(self, inputs: ServiceInputs) -> str | None:
        """What is not as it should be; None where all is well."""
        return self.manager.drift(inputs.programs)

    def up(self, inputs: ServiceInputs) -> None:
        """Start what should run, restart what changed, and wait until it answers.

        Raises:
            EdgeError: a port is taken, or a program doesn't come up.
        """
        if taken := self.taken(inputs):
            raise EdgeError("; ".join(taken))
        self.manager.converge(inputs.programs)
        wait_ready(self.manager, inputs.programs, url=inputs.ready_url, limit_s=inputs.start_seconds)

    def restore(self, inputs: ServiceInputs) -> None:
        """Go back to the programs from before, without waiting for them."""
        self.manager.converge(inputs.programs)

    def stop(self, inputs: ServiceInputs) -> None:
        """End everything, and remove every file of it."""
        self.manager.stop(inputs.programs)
        remove_if_empty(self.folder.path.parent)
