"""The Pulumi engine, driven through the Automation API: preview, up with progress, history, and one config key."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulumi import automation

from opsctl.deploy.interruption import engine_ends_first
from opsctl.errors import CloudRefused, NotUsable, StackNotFound
from opsctl.project import engine_environment, find_pulumi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from opsctl.project import Project

IMAGE_KEY = "rag-platform:service.image"
SERVICE_CONFIG = "rag-platform:service"
TOPOLOGY = "rag-platform:topology"
MARKUP = re.compile(r"<\{%.*?%\}>")
REASONS_SHOWN = 3
MOST_UPDATES = 1000  # that are looked back at; the engine gives ten where it is told nothing

# A replacement has three steps; only the one that takes the time is told.
OPERATIONS = {
    "create": "create",
    "update": "update",
    "delete": "delete",
    "create-replacement": "replace",
    "import": "import",
    "refresh": "refresh",
}

Changes = dict[str, int]
"""Operation (create, update, replace, delete ...) -> resources."""


@dataclass(frozen=True, slots=True)
class Update:
    """One update as the engine's history has it.

    Attributes:
        number: counted from the stack's first; a file or a bucket as backend has no number of its own.
        at: when it began.
        who: the author of the commit that it was made from; None outside a git checkout.
        image: that the config asked for; None in the first phase.
        result: the engine's word: succeeded, failed, in-progress. What the platform made of it is another question.
        config: plain values alone.
    """

    number: int
    at: datetime
    who: str | None
    image: str | None
    result: str
    changes: Changes
    config: Mapping[str, str]

    @property
    def succeeded(self) -> bool:
        """Whether the engine says so."""
        return self.result == "succeeded"


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing that a stack has."""

    type: str
    name: str
    protected: bool


class Engine:
    """One stack of the project."""

    def __init__(self, stack: automation.Stack) -> None:
        self._stack = stack

    @property
    def name(self) -> str:
        """The stack's name."""
        return str(self._stack.name)

    def preview(self, *, refresh: bool = False) -> Changes:
        """What an `up` would do, unchanged resources left out; `refresh` reads first what is really there.

        Raises:
            CloudRefused: the program or the provider refused; carries the engine's reasons.
        """
        with self._refusals("preview") as listen:
            summary = self._stack.preview(on_event=listen, color="never", refresh=refresh).change_summary
        return _changes(summary)

    def up(self, tell: Callable[[str, str], None], *, refresh: bool = False) -> Changes:
        """Make the stack as its config says; `tell` hears the operation and the resource as each begins.

        `refresh` as for `preview`.

        Raises:
            CloudRefused: a resource failed, or somebody else's update goes on.
        """
        with self._refusals("up") as listen:
            heard = _both(listen, tell)
            done = self._stack.up(on_event=heard, color="never", show_secrets=False, refresh=refresh)
        return _changes(done.summary.resource_changes or {})

    def destroy(self, tell: Callable[[str, str], None]) -> Changes:
        """Delete what the stack has; `tell` as for `up`.

        Raises:
            CloudRefused: a resource can't be deleted, or somebody else's update goes on.
        """
        with self._refusals("destroy") as listen:
            done = self._stack.destroy(on_event=_both(listen, tell), color="never", show_secrets=False)
        return _changes(done.summary.resource_changes or {})

    def resources(self) -> tuple[Resource, ...]:
        """What the stack has, as its state says; components are left out, which are nothing of their own."""
        with self._refusals("stack export"):
            held = (self._stack.export_stack().deployment or {}).get("resources") or ()
        return tuple(
            Resource(each["type"], each["urn"].rpartition("::")[2], bool(each.get("protect")))
            for each in held
            if each.get("custom") and not each["type"].startswith("pulumi:providers:")
        )

    def half_done(self) -> tuple[str, ...]:
        """What the last update was at when it was broken off, e.g. `creating rag-service`; empty where it ended."""
        with self._refusals("stack export"):
            left = (self._stack.export_stack().deployment or {}).get("pending_operations") or ()
        return tuple(f"{each['type']} {each['resource']['urn'].rpartition('::')[2]}" for each in left)

    def topology(self) -> str | None:
        """The topology that the stack config asks for; None where it leaves that to the program."""
        config = self._stack.get_all_config()
        return config[TOPOLOGY].value if TOPOLOGY in config else None

    def image(self) -> str | None:
        """The image that the stack config asks for; None in the first phase."""
        config = self._stack.get_all_config()
        return _image({key: value.value for key, value in config.items()})

    def set_image(self, image: str | None) -> None:
        """Write the image into the stack config; None takes it out."""
        with self._refusals("config"):
            if image is None:
                self._stack.remove_config(IMAGE_KEY, path=True)
            else:
                self._stack.set_config(IMAGE_KEY, automation.ConfigValue(image), path=True)

    def set_value(self, path: str, value: str) -> None:
        """Write one key of this project into the stack config."""
        with self._refusals("config"):
            self._stack.set_config(f"rag-platform:{path}", automation.ConfigValue(value), path=True)

    def updates(self, most: int | None = None) -> tuple[Update, ...]:
        """The updates of the stack, newest first; at most so many.

        Raises:
            CloudRefused: the history can't be read.
        """
        with self._refusals("stack history"):
            history = self._stack.history(page_size=MOST_UPDATES, page=1, show_secrets=False)
        updates = [each for each in history if each.kind == "update"]
        numbered = zip(range(len(updates), 0, -1), updates, strict=True)
        return tuple(_told(number, each) for number, each in numbered)[:most]

    def tags(self) -> Mapping[str, str]:
        """The stack's tags, in whichever backend."""
        with self._refusals("stack tag ls"):
            return dict(self._stack.workspace.list_tags(self.name))

    def set_tag(self, key: str, value: str) -> None:
        """Write one tag of the stack."""
        with self._refusals("stack tag set"):
            self._stack.workspace.set_tag(self.name, key, value)

    def remove_tag(self, key: str) -> None:
        """Take one tag of the stack away."""
        with self._refusals("stack tag rm"):
            self._stack.workspace.remove_tag(self.name, key)

    @contextmanager
    def _refusals(self, command: str) -> Iterator[Callable[[automation.EngineEvent], None]]:
        """Gather the engine's error lines, and tell them where the command fails."""
        reasons: list[str] = []

        def listen(event: automation.EngineEvent) -> None:
            said = event.diagnostic_event
            if said is not None and said.severity == "error":
                reasons.append(" ".join(MARKUP.sub("", said.message).split()))

        try:
            with engine_ends_first():
                yield listen
        except automation.ConcurrentUpdateError as exc:
            raise CloudRefused(
                f"another update of stack '{self.name}' goes on, or was killed",
                next_step=f"wait for it; if nobody is at it any more, `pulumi cancel --stack {self.name}`, then again",
            ) from exc
        except automation.CommandError as exc:
            told = "; ".join(dict.fromkeys(reasons[:REASONS_SHOWN])) or _last_error(str(exc))
            raise CloudRefused(
                f"`pulumi {command}` failed: {told}", next_step="correct that, then run the same command again"
            ) from exc


def open_engine(project: Project, stack: str, environ: Mapping[str, str]) -> Engine:
    """The engine of an existing stack.

    Raises:
        StackNotFound, ToolMissing, NotUsable
    """
    options = _workspace(project, stack, environ)
    try:
        with engine_ends_first():
            return Engine(automation.select_stack(stack, work_dir=str(project.root), opts=options))
    except automation.StackNotFoundError as exc:
        raise StackNotFound(
            f"there is no stack '{stack}'", next_step=f"see `pulumi stack ls`, or run `pulumi stack init {stack}`"
        ) from exc
    except automation.CommandError as exc:
        raise NotUsable(
            f"stack '{stack}' can't be opened: {_last_error(str(exc))}", next_step="check `pulumi whoami -v`"
        ) from exc


def make_stack(project: Project, stack: str, environ: Mapping[str, str]) -> None:
    """Make a stack known to the backend; its file stays as it is.

    Raises:
        ToolMissing, NotUsable
    """
    options = _workspace(project, stack, environ)
    try:
        automation.create_stack(stack, work_dir=str(project.root), opts=options)
    except automation.CommandError as exc:
        raise NotUsable(
            f"stack '{stack}' can't be made: {_last_error(str(exc))}", next_step="check `pulumi whoami -v`"
        ) from exc


def _workspace(project: Project, stack: str, environ: Mapping[str, str]) -> automation.LocalWorkspaceOptions:
    program = find_pulumi(project, environ)
    root = str(program.parent.parent) if program.parent == project.tools else None
    return automation.LocalWorkspaceOptions(
        work_dir=str(project.root),
        env_vars=engine_environment(project, stack, environ),
        pulumi_command=automation.PulumiCommand(root=root),
    )


def _changes(summary: Mapping[automation.OpType, int] | Mapping[str, int]) -> Changes:
    spelled = {str(getattr(op, "value", op)): count for op, count in summary.items()}
    return {op: count for op, count in spelled.items() if op != "same" and count}


def _told(number: int, update: automation.UpdateSummary) -> Update:
    plain = {key: value.value for key, value in update.config.items() if not value.secret}
    told = update.environment or {}
    who = told.get("git.author") or told.get("git.committer")
    return Update(
        number=number,
        at=update.start_time,
        who=who,
        image=_image(plain),
        result=update.result,
        changes=_changes(update.resource_changes or {}),
        config=plain,
    )


def _image(config: Mapping[str, str]) -> str | None:
    service = json.loads(config.get(SERVICE_CONFIG) or "{}")
    return service.get("image") if isinstance(service, dict) else None


def _both(
    listen: Callable[[automation.EngineEvent], None], tell: Callable[[str, str], None]
) -> Callable[[automation.EngineEvent], None]:
    def heard(event: automation.EngineEvent) -> None:
        listen(event)
        step = _step(event)
        if step is not None:
            tell(*step)

    return heard


def _step(event: automation.EngineEvent) -> tuple[str, str] | None:
    """The operation that begins and its resource; None for what no operator asked for."""
    if event.resource_pre_event is None:
        return None
    begun = event.resource_pre_event.metadata
    operation = OPERATIONS.get(begun.op.value)
    if operation is None or begun.type.startswith("pulumi:providers:"):
        return None
    return operation, f"{begun.type} {begun.urn.rpartition('::')[2]}"


def _last_error(output: str) -> str:
    errors = [line.partition("error:")[2].strip() for line in output.splitlines() if "error:" in line]
    return errors[-1] if errors else " ".join(output.split())[-200:]
