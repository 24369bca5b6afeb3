"""`opsctl init` on the real engine: both phases, timed, and gone on from where it stopped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from rich.console import Console

from opsctl.bootstrap import steps as module
from opsctl.bootstrap.walk import Step, walk
from opsctl.deploy.engine import open_engine
from opsctl.errors import CheckFailed
from opsctl.project import Project
from tests.infra.cloud_cases import DIGEST, ROOT
from tests.unit.opsctl.world import PROGRAM

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Run
    from tests.unit.opsctl.world import World

QUIET = Console(quiet=True)
FLAGS = ("--stack", "try", "--yes", "--no-preflight", "--golden", "golden.yaml", "--timeout", "10", "-o", "json")


class TestWalk:
    def test_each_step_is_timed_and_what_was_done_is_left_alone(self) -> None:
        ticks = iter(range(0, 1000, 5))
        asked = [Step("a", lambda: "there", lambda: "never"), Step("b", lambda: None, lambda: "made")]
        gone = walk(asked, QUIET, lambda: float(next(ticks)))
        assert [(step.name, step.state, step.said, step.seconds) for step in gone.steps] == [
            ("a", "done before", "there", None),
            ("b", "done", "made", 5.0),
        ]
        assert (gone.seconds, gone.error) == (5.0, None)

    def test_what_fails_ends_it(self) -> None:
        def fails() -> str:
            raise CheckFailed("no room", next_step="make some")

        gone = walk([Step("a", lambda: None, fails), Step("b", lambda: None, lambda: "never")], QUIET)
        assert [(step.name, step.state) for step in gone.steps] == [("a", "failed")]
        assert str(gone.error) == "no room; make some"

    def test_a_step_that_can_not_tell_whether_it_is_done_ends_it_too(self) -> None:
        def unknown() -> None:
            raise CheckFailed("who knows", next_step="look")

        gone = walk([Step("a", unknown, lambda: "never")], QUIET)
        assert [step.state for step in gone.steps] == ["failed"]


@pytest.fixture
def fresh(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A stack file whose stack the backend does not know, an image that is built and pushed at once."""
    document = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())
    told = document["config"]
    told["rag-platform:generation"] = {**told.get("rag-platform:generation", {}), "provider": "openai"}
    told["rag-platform:retrieval"] = {
        **told.get("rag-platform:retrieval", {}), "url": "https://vectors.example.com:6333"
    }  # fmt: skip
    (world.root / "Pulumi.try.yaml").write_text(yaml.safe_dump(document))
    secrets = '\npulumi.export("secrets", {"openaiApiKey": "arn:aws:secretsmanager:::o"})\n'
    (world.root / "__main__.py").write_text(PROGRAM.format(url=world.service.url) + secrets)
    monkeypatch.setattr("opsctl.aws.secret_dates.changed_at", lambda *_: None)
    monkeypatch.setattr(module, "build", lambda *_: None)

    def push(project: Project, stack: str, image: str, environ: Any, _: Console) -> str:
        assert image == module.BUILT
        open_engine(project, stack, environ).set_image(DIGEST)
        return DIGEST

    monkeypatch.setattr(module, "push", push)
    return world


@pytest.mark.pulumi
def test_a_new_stack_comes_up_in_both_phases_and_an_interruption_is_gone_on_from(
    opsctl: Run, fresh: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = opsctl("init", *FLAGS)
    assert stopped.code == 2, stopped.err
    assert "`opsctl secrets set openaiApiKey --stack try < FILE`" in stopped.err.splitlines()[-1]
    assert [(each["name"], each["state"]) for each in stopped.document["steps"]] == [
        ("stack", "done"), ("first phase", "done"), ("secrets", "failed")
    ]  # fmt: skip
    assert (stopped.document["ok"], stopped.document["seconds"] > 0) == (False, True)

    monkeypatch.setattr(module.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(module.click, "prompt", lambda name, **_: f"planted-{name}")
    for name in ("qdrantApiKey", "mongoUrl"):  # the second phase wants them too; these were set by hand
        assert opsctl("secrets", "set", name, "--stack", "try").code == 0
    fresh.runs(DIGEST)
    done = opsctl("init", *FLAGS)
    assert done.code == 0, done.err
    states = {each["name"]: (each["state"], each["said"]) for each in done.document["steps"]}
    assert {name: state for name, (state, _) in states.items()} == {
        "stack": "done before",
        "first phase": "done before",
        "secrets": "done",
        "image": "done",
        "second phase, proved": "done",
    }
    assert states["image"][1] == DIGEST
    assert "runs, 2 of 2 replicas, a real question was answered" in states["second phase, proved"][1]
    assert "planted" not in done.out + done.err
    assert "planted" not in (fresh.root / "Pulumi.try.yaml").read_text(), "encrypted"

    again = opsctl("init", *FLAGS)
    assert {each["state"] for each in again.document["steps"][:-1]} == {"done before"}
    shown = opsctl("init", *FLAGS[:-2])
    assert "in all" in shown.out


@pytest.mark.pulumi
def test_a_stack_without_a_file_is_told_so(opsctl: Run, fresh: World) -> None:
    del fresh
    done = opsctl("init", "--stack", "nowhere", "--yes")
    assert (done.code, "no file Pulumi.nowhere.yaml" in done.err) == (2, True)


class TestModelEndpoint:
    @pytest.fixture
    def bootstrap(self, monkeypatch: pytest.MonkeyPatch) -> module.Bootstrap:
        cfg = SimpleNamespace(
            topology="ecs",
            generation=SimpleNamespace(provider="sagemaker", endpoint="twin"),
            hybrid=SimpleNamespace(fallback=SimpleNamespace(kind="none")),
        )
        monkeypatch.setattr(module, "read_stack_config", lambda *_: cfg)
        monkeypatch.setattr(module, "read_delivery", lambda *_: SimpleNamespace(region="eu-north-1"))
        options: Any = {"stack": "try"}
        settings: Any = SimpleNamespace(environ={}, hub=None)
        return module.Bootstrap(Project(ROOT), options, settings, QUIET, None, yes=True, preflight=False)

    def test_it_comes_between_image_and_second_phase_and_is_left_alone_in_service(
        self, bootstrap: module.Bootstrap, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        states = iter(["", "Creating", "InService"])
        monkeypatch.setattr("opsctl.aws.limits.endpoint_state", lambda *_: next(states))
        steps = {step.name: step for step in bootstrap.steps()}
        assert list(steps) == ["stack", "first phase", "secrets", "image", "model endpoint", "second phase, proved"]
        asked = [steps["model endpoint"].done() for _ in range(3)]
        assert asked == [None, None, "'twin' is in service"]

    def test_it_is_deployed_as_deploy_endpoint_does_it(
        self, bootstrap: module.Bootstrap, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused = CheckFailed("no quota", next_step="ask for it")
        reports = iter([SimpleNamespace(error=None, steps=(1, 2)), SimpleNamespace(error=refused, steps=())])
        seen: list[Any] = []

        class Opened:
            def __init__(self, _: object, name: str, *__: object, **more: Any) -> None:
                seen.append((name, more["yes"], more["preflight"]))

            def __enter__(self) -> Any:
                return SimpleNamespace(deploy=lambda _: next(reports))

            def __exit__(self, *_: object) -> None:
                pass

        target = SimpleNamespace(spec=lambda *_: SimpleNamespace(endpoint="twin"), bucket="b")
        monkeypatch.setattr("opsctl.endpoint.open.open_stack", lambda *_: target)
        monkeypatch.setattr("opsctl.endpoint.open.opened", Opened)
        (step,) = [each for each in bootstrap.steps() if each.name == "model endpoint"]
        assert step.work() == "'twin', 2 steps"
        assert seen == [("twin", True, None)]
        with pytest.raises(CheckFailed, match="no quota"):
            step.work()
