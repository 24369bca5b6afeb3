"""Who asks before it changes anything, over all commands that there are: a new one has to say which kind it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click
import pytest

from opsctl.cli import COMMANDS, load
from opsctl.endpoint.names import Names
from opsctl.endpoint.resources import Resource
from opsctl.endpoint.run import EndpointRun
from opsctl.endpoint.steps import Remove
from opsctl.stack import Delivery
from opsctl.standby.part import Look
from tests.unit.opsctl.world import BETTER, GOOD, World

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Run

READS = {
    "alerts test", "api-keys list", "api-keys show", "completion", "cost-report", "dashboard", "doctor", "edge status",
    "endpoint logs", "endpoint preflight", "endpoint status", "endpoint test", "logs", "preflight", "releases",
    "secrets list", "smoke-test", "status", "watch",
}  # fmt: skip
# what changes something without asking -> why nothing is lost by it
UNASKED = {
    "api-keys create": "writes the stack file; the deployment that makes it true asks",
    "api-keys rotate": "as above",
    "backup": "adds a copy",
    "edge rollback": "`edge update` takes it back",
    "edge update": "`edge rollback` takes it back",
    "endpoint wake": "wakes what sleeps by itself again",
    "exec": "the command is the operator's own",
    "export-index": "earlier bundles stay",
    "image build": "an image of this machine",
    "image push": "adds an image; the deployment that runs it asks",
    "ingest": "refuses a source that is suddenly empty",
    "model upload": "adds files",
    "prices refresh": "a file under version control, and only with --write",
    "secrets rotate": "writes the stack file; the deployment that makes it true asks",
    "secrets set": "as above",
}
WITHOUT_JSON = {
    "api-keys show": "prints one value, to be piped",
    "completion": "prints a shell script",
    "cost-report": "has --format, with json among others",
    "exec": "prints what the command prints",
}


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, f"{path} {name}")
    else:
        yield path, command


TREE = {path: command for name in COMMANDS for path, command in leaves(load(name), name)}


def having(option: str) -> set[str]:
    return {path for path, command in TREE.items() if any(option in param.opts for param in command.params)}


def test_every_command_reads_asks_or_says_why_not() -> None:
    asks = having("--yes")
    assert sorted([*READS, *UNASKED, *asks]) == sorted(TREE), "each in one list, and in no other"


def test_every_command_speaks_json_or_says_why_not() -> None:
    assert having("--output") == TREE.keys() - WITHOUT_JSON.keys()


def test_every_command_shows_an_example() -> None:
    assert [path for path, command in TREE.items() if "Example" not in (command.help or "")] == []


Scene = Callable[[World, pytest.MonkeyPatch, list[str]], tuple[str, ...]]
"""Sets up what a command meets, with a list that fills with what is changed; gives its options."""


def stack_on_engine(world: World, patch: pytest.MonkeyPatch, changed: list[str]) -> tuple[str, ...]:
    for verb in ("up", "destroy"):
        patch.setattr(f"opsctl.deploy.engine.Engine.{verb}", lambda *_, verb=verb, **__: changed.append(verb))
    patch.setattr("opsctl.aws.limits.endpoint_state", lambda *_: "")
    patch.setattr("opsctl.deploy.engine.Engine.preview", lambda _, **__: {"update": 1})
    patch.setattr("opsctl.deploy.releases.good_images", lambda _: (BETTER, GOOD))
    patch.setattr("opsctl.deploy.engine.Engine.resources", lambda _: (SimpleNamespace(type="t", protected=False),))
    return ("--stack", "dev")


def fresh_stack(world: World, patch: pytest.MonkeyPatch, changed: list[str]) -> tuple[str, ...]:
    cfg = SimpleNamespace(topology="hybrid", generation=SimpleNamespace(provider="openai"))
    cfg.hybrid = SimpleNamespace(fallback=SimpleNamespace(kind="none"))
    patch.setattr("opsctl.bootstrap.steps.read_stack_config", lambda *_: cfg)
    return (*stack_on_engine(world, patch, changed), "--no-preflight")


def part(changed: list[str]) -> Any:
    return SimpleNamespace(
        name="tasks",
        look=lambda: Look("2", rests=False, awake="2"),
        rest=lambda: changed.append("rest"),
    )


def awake(_: World, patch: pytest.MonkeyPatch, changed: list[str]) -> tuple[str, ...]:
    opened = SimpleNamespace(parts=[part(changed)], prove=None, bills=lambda: ())
    patch.setattr("opsctl.standby.open.open_standby", lambda *_, **__: opened)
    return ("--stack", "dev")


def asleep(_: World, patch: pytest.MonkeyPatch, changed: list[str]) -> tuple[str, ...]:
    resting = SimpleNamespace(
        name="tasks", look=lambda: Look("0", rests=True, awake="2"), wake=lambda: changed.append("wake")
    )
    opened = SimpleNamespace(parts=[resting], prove=lambda: changed.append("proved"), bills=lambda: ())
    patch.setattr("opsctl.standby.open.open_standby", lambda *_, **__: opened)
    return ("--stack", "dev")


def store(_: World, patch: pytest.MonkeyPatch, changed: list[str]) -> tuple[str, ...]:
    told = {"stores": ["mongo"], "place": "s3://b/dev"}
    delivery = Delivery(topology="ecs", jobs={"backups": told})
    patch.setattr("opsctl.stack.read_delivery", lambda *_: delivery)
    copy = SimpleNamespace(store="mongo", stamp="1", uri="s3://b/dev/mongo/1", finished=True, size=1)
    patch.setattr("opsctl.aws.copies.copies", lambda *_: (copy,))
    patch.setattr("opsctl.jobs.backups.Backups.restore", lambda *_: changed.append("restore"))
    return ("mongo", "--stack", "dev")


def endpoint(_: World, patch: pytest.MonkeyPatch, changed: list[str]) -> tuple[str, ...]:
    """One that has something to do; whatever would do it notes that."""
    step = Remove(Resource("endpoint", "twin", {}))
    spec = SimpleNamespace(endpoint="twin")
    target = SimpleNamespace(
        cfg=SimpleNamespace(generation=SimpleNamespace(endpoint="twin")),
        stack="dev", region="eu-north-1", bucket="b", delivery=None, spec=lambda *_: spec,
    )  # fmt: skip

    def reach(run: EndpointRun, report: Any) -> None:
        report.steps = (step,)
        run.consent(report)
        changed.append("acted")

    for module in ("deploy_endpoint", "endpoint_delete", "endpoint_rollback"):
        patch.setattr(f"opsctl.commands.{module}.open_stack", lambda *_: target)
    patch.setattr("opsctl.commands.deploy_endpoint.Preflight", lambda *_: SimpleNamespace(hold=lambda: None))
    patch.setattr("opsctl.endpoint.open.ownership", lambda *_: None)
    patch.setattr("opsctl.aws.documents.BucketDocument.open", lambda *_: SimpleNamespace(where="s3://b/j"))
    patch.setattr("opsctl.aws.endpoint.SageMakerCloud.open", lambda *_: None)
    for verb in ("_delete", "_reach"):
        patch.setattr(EndpointRun, verb, lambda run, *asked: reach(run, asked[-1]))
    journal = SimpleNamespace(attempt=None, last_good=None, releases=(None, SimpleNamespace(spec=spec)))
    patch.setattr("opsctl.endpoint.lock.Lock.read", lambda _: journal)
    assert Names("twin").endpoint == "twin"
    return ("--stack", "dev")


def caller(world: World, patch: pytest.MonkeyPatch, changed: list[str]) -> tuple[str, ...]:
    patch.setattr("opsctl.credentials.callers.revoke", lambda *_: changed.append("revoked"))
    return ("batch", "--stack", "dev")


def production(_: World, patch: pytest.MonkeyPatch, changed: list[str]) -> tuple[str, ...]:
    patch.setattr("opsctl.load.open.read_delivery", lambda *_: changed.append("asked"))
    return ("--stack", "prod", "--queries", __file__)


SCENES: dict[str, Scene] = {
    "api-keys revoke": caller,
    "deploy": lambda *scene: (*stack_on_engine(*scene), "--no-preflight"),
    "deploy-endpoint": endpoint,
    "destroy": stack_on_engine,
    "endpoint delete": endpoint,
    "endpoint rollback": endpoint,
    "init": fresh_stack,
    "load-test": production,
    "pause": awake,
    "restore": store,
    "resume": asleep,
    "rollback": stack_on_engine,
}


@pytest.mark.pulumi
@pytest.mark.parametrize("path", sorted(having("--yes")))
def test_without_a_terminal_it_wants_yes_and_changes_nothing(
    path: str,
    opsctl: Run,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed: list[str] = []
    options = SCENES[path](world, monkeypatch, changed)
    done = opsctl(*path.split(), *options)
    assert (done.code, changed) == (2, []), done.err
    assert "--yes" in done.err.splitlines()[-1]
