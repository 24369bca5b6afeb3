"""The edges of a stack, as the engine's state has them: where each is, what runs there, and a way to run more there."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from infra.edge.errors import EdgeError
from infra.edge.hosts.address import parse
from infra.edge.hosts.transport import Transport, transport_to
from infra.edge.jobs import clean_environment
from infra.edge.layout import interpreter, project_root
from opsctl.errors import CheckFailed, NotDeployed, NotUsable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SERVICE_TYPE = "pulumi-python:dynamic/edge:EdgeService"
LOCAL = "local"
JOB_S = 120.0
ENTER = 'cd -- "$1" && shift && exec env -i HOME="$HOME" "$@"'


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Program(_View):
    """A program of an edge."""

    name: str
    args: tuple[str, ...]
    environment: dict[str, str] = {}


class Listen(_View):
    """Where one of them listens; `key` is the config's."""

    key: str
    port: int


class Installed(_View):
    """What an EdgeInstall put onto a host."""

    base: str
    env: str
    app: str


class _Service(_View):
    programs: tuple[Program, ...]
    listen: tuple[Listen, ...]
    host: str | None = None
    release: Installed | None = None


@dataclass(frozen=True, slots=True)
class EdgeHost:
    """One edge.

    Attributes:
        name: its entry in `hybrid.edge.hosts`.
        root: the folder that its programs run in.
        python: their interpreter.
        home: of its bundles, seen from `root`.
    """

    name: str
    root: str
    python: str
    home: str
    programs: Mapping[str, Program]
    ports: Mapping[str, int]

    def job(self, name: str, words: Sequence[str], environ: Mapping[str, str], *, limit_s: float = JOB_S) -> Any:  # noqa: ANN401 - JSON
        """What `python -m service.jobs.<name> WORDS` prints on the host, as JSON; None where it prints nothing.

        Raises:
            CheckFailed: it can't be reached, or the job says no; its last line says why.
        """
        told = {**clean_environment(Path(self.python)), **environ}
        pairs = [f"{key}={value}" for key, value in told.items() if key != "HOME"]
        script = ["sh", "-c", ENTER, "job", self.root, *pairs]
        try:
            done = self._transport.run([*script, self.python, "-m", f"service.jobs.{name}", *words], limit_s=limit_s)
        except EdgeError as exc:
            raise CheckFailed(f"edge {self.name}: {exc}", next_step="the other edges are as they were") from exc
        if done.code:
            raise CheckFailed(f"edge {self.name}: {done.last_words}", next_step="see `opsctl edge status`")
        try:
            return json.loads(done.stdout) if done.stdout.strip() else None
        except ValueError as exc:
            raise CheckFailed(f"edge {self.name}: {name} answered no JSON", next_step="run `pulumi up` again") from exc

    def inside(self, command: Sequence[str]) -> list[str]:
        """What to start here so that `command` runs on the host, in the service's folder and with its settings.

        Raises:
            CheckFailed: there is no way there.
        """
        told = {**clean_environment(Path(self.python)), **self.programs["service"].environment}
        pairs = [f"{key}={value}" for key, value in told.items() if key != "HOME"]
        term = ['TERM="${TERM:-dumb}"']
        script = ["sh", "-c", ENTER.replace('HOME="$HOME"', " ".join(['HOME="$HOME"', *term])), "exec", self.root]
        try:
            return self._transport.attached([*script, *pairs, *command])
        except EdgeError as exc:
            raise CheckFailed(f"edge {self.name}: {exc}", next_step="install OpenSSH's client") from exc

    @contextmanager
    def reached(self, key: str) -> Iterator[str]:
        """An address of this machine that leads to what listens under `hybrid.edge.<key>` there.

        Raises:
            CheckFailed: the host can't be reached.
        """
        try:
            with self._transport.forwarded(self.ports[key]) as port:
                yield f"http://127.0.0.1:{port}"
        except EdgeError as exc:
            raise CheckFailed(str(exc), next_step="the other edges are as they were") from exc

    @property
    def _transport(self) -> Transport:
        return transport_to(parse(self.name))


def edges(resources: Sequence[Mapping[str, Any]], wanted: str | None) -> list[EdgeHost]:
    """The edges of a stack in the order in which they were brought up, or the one that is wanted.

    Raises:
        NotDeployed: there is none.
        NotUsable: none of them is the wanted one.
    """
    found = [_edge(each) for each in resources if each.get("type") == SERVICE_TYPE]
    if not found:
        raise NotDeployed("the stack has no edge", next_step="it is a hybrid's; deploy it: `pulumi up`")
    chosen = [edge for edge in found if wanted in {None, edge.name}]
    if not chosen:
        names = ", ".join(edge.name for edge in found)
        raise NotUsable(f"the stack has no edge '{wanted}'", next_step=f"name one of {names}")
    return chosen


def _edge(resource: Mapping[str, Any]) -> EdgeHost:
    try:
        told = _Service.model_validate({**(resource.get("inputs") or {}), **(resource.get("outputs") or {})})
        programs = {program.name: program for program in told.programs}
        home = programs["service"].environment["RAG_BUNDLE_DIR"]
    except (ValidationError, LookupError) as exc:
        raise NotDeployed(
            "the state of the edge is not one of this release", next_step="bring it up to date: `pulumi up`"
        ) from exc
    there = told.release
    return EdgeHost(
        name=told.host or LOCAL,
        root=f"{there.base}/{there.app}" if there else str(project_root()),
        python=f"{there.base}/{there.env}/bin/python" if there else str(interpreter()),
        home=home,
        programs=programs,
        ports={listen.key.rpartition(".")[2]: listen.port for listen in told.listen},
    )
