"""A deployment that is broken off, on the real engine: Ctrl-C and a kill; the next command says so and finishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from opsctl.project import Project, find_pulumi
from tests.real_processes import wait_until
from tests.unit.opsctl.conftest import Ended
from tests.unit.opsctl.world import GOOD, PROGRAM, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.opsctl.conftest import Run

pytestmark = pytest.mark.pulumi

SLOW = """
import os
import time
from pulumi.dynamic import CreateResult, Resource, ResourceProvider


class Slow(ResourceProvider):
    def create(self, props):
        with open(os.environ["BEGUN"], "a") as file:
            file.write("x")
        while os.path.exists(os.environ["HOLD"]):
            time.sleep(0.05)
        return CreateResult("id", {})


class Thing(Resource, name="Thing"):
    pass


Thing(Slow(), "slow", {})
"""
DEPLOY = ("deploy", "--stack", "dev", "--yes", "--no-preflight", "--no-smoke-test", "--image", GOOD)


@pytest.fixture
def slow(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A stack with one thing that is made as long as a file is there."""
    monkeypatch.setenv("HOLD", str(world.root / "hold"))
    monkeypatch.setenv("BEGUN", str(world.root / "begun"))
    (world.root / "hold").touch()
    (world.root / "__main__.py").write_text(PROGRAM.format(url=world.service.url) + SLOW)
    world.runs(GOOD)
    yield world
    (world.root / "hold").unlink(missing_ok=True)


def begin(slow: World) -> subprocess.Popen[str]:
    """Type it in a terminal of its own, and wait until it is in the midst of the update."""
    words = ["env", "--default-signal=INT", sys.executable, "-m", "opsctl.cli", *DEPLOY]
    started = subprocess.Popen(
        words, cwd=slow.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    wait_until((slow.root / "begun").exists, within_s=60, what="the update's midst")
    return started


def pulumi(*words: str) -> None:
    program = find_pulumi(Project(Path(__file__).parents[3]), os.environ)
    subprocess.run([program, *words, "--stack", "dev"], check=True, capture_output=True)


def ended(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out, err)


def test_ctrl_c_lets_the_engine_end_its_step_and_the_same_command_finishes(opsctl: Run, slow: World) -> None:
    process = begin(slow)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: everybody in it hears
    (slow.root / "hold").unlink()
    broken = ended(process)
    assert broken.code == 130, broken.err
    assert "opsctl: the engine ends the step that it is at" in broken.err
    assert "run the same command again" in broken.err.splitlines()[-1]
    assert "Traceback" not in broken.err
    again = opsctl(*DEPLOY, "-o", "json")
    assert again.code == 0, again.err
    assert again.document["verdict"]["status"] == "running"
    assert "killed" not in again.err, "nothing was left half done"


def test_ctrl_c_pressed_again_does_not_wait_for_the_step(slow: World) -> None:
    process = begin(slow)

    def is_over() -> bool:
        os.killpg(process.pid, signal.SIGINT)  # the engine hears no second one while it is at the first
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        return process.returncode is not None

    wait_until(is_over, within_s=60, what="the end of it")
    broken = ended(process)
    assert broken.code == 130, broken.err
    assert "Ctrl-C again cuts it off" in broken.err
    assert (slow.root / "hold").exists(), "the step itself would have gone on for ever"
    assert "Traceback" not in broken.err


def test_a_kill_leaves_a_lock_and_a_half_made_thing_and_both_are_explained(opsctl: Run, slow: World) -> None:
    process = begin(slow)
    children = psutil.Process(process.pid).children(recursive=True)
    for each in (*children, process):
        with suppress(psutil.NoSuchProcess):  # one ends by itself when another is gone
            each.kill()
    ended(process)
    (slow.root / "hold").unlink()

    locked = opsctl(*DEPLOY)
    assert locked.code == 3
    assert "another update of stack 'dev' goes on, or was killed" in locked.err.splitlines()[-1]
    assert "pulumi cancel --stack dev" in locked.err.splitlines()[-1]
    pulumi("cancel", "--yes")

    again = opsctl(*DEPLOY, "-o", "json")
    assert again.code == 0, again.err
    assert "killed while creating slow" in again.err
    assert "pulumi refresh --clear-pending-creates --stack dev" in again.err
    pulumi("refresh", "--clear-pending-creates", "--yes", "--skip-preview")
    assert "killed" not in opsctl(*DEPLOY).err, "the command that it names ends it"


@pytest.mark.parametrize(
    ("step", "written"),
    [
        ("opsctl.deploy.engine.Engine.preview", False),  # nothing was changed: the config is as it was
        ("opsctl.deploy.run.settle", True),
        ("opsctl.deploy.run.smoke", True),
    ],
)
def test_ctrl_c_at_another_step_is_gone_on_from_by_the_same_command(
    step: str,
    written: bool,  # noqa: FBT001 - a parameter of the test
    opsctl: Run,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world.runs(GOOD)
    deploy = (*DEPLOY[:-3], "--golden", "golden.yaml", "--timeout", "10", "--image", GOOD)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step, interrupted)
        broken = opsctl(*deploy)
    assert broken.code == 130
    assert "interrupted; run the same command again" in broken.err.splitlines()[-1]
    assert (f"image: {GOOD}" in world.config) is written
    again = opsctl(*deploy, "-o", "json")
    assert (again.code, again.document["smokeTest"]["ok"]) == (0, True), again.err


HALF = """
import os
from pulumi.dynamic import CreateResult, ReadResult, Resource, ResourceProvider, UpdateResult


class Half(ResourceProvider):
    def create(self, props):
        return CreateResult("id", {"size": props["size"]})

    def read(self, id_, props):
        with open(os.environ["BEGUN"], "a") as file:
            file.write("read")
        return ReadResult(id_, props)

    def update(self, id_, olds, news):
        if os.path.exists(os.environ["HOLD"]):
            raise Exception("ThrottlingException: Rate exceeded")
        return UpdateResult({"size": news["size"]})


class Thing(Resource, name="Thing"):
    pass


Thing(Half(), "half", {"size": (pulumi.Config("rag-platform").get_object("service") or {}).get("cpu")})
"""


def test_after_an_update_that_failed_what_is_there_is_read_first(opsctl: Run, slow: World) -> None:
    """The state may say that what failed half-way was done: the next update would leave it as it is."""
    (slow.root / "hold").unlink()
    (slow.root / "__main__.py").write_text(PROGRAM.format(url=slow.service.url) + HALF)
    assert opsctl(*DEPLOY).code == 0
    (slow.root / "hold").touch()
    pulumi("config", "set", "--path", "rag-platform:service.cpu", "4")
    failed = opsctl(*DEPLOY)
    assert (failed.code, "Rate exceeded" in failed.err.splitlines()[-1]) == (3, True)
    assert not (slow.root / "begun").exists(), "nobody reads where nothing failed"
    (slow.root / "hold").unlink()
    again = opsctl(*DEPLOY, "-o", "json")
    assert again.code == 0, again.err
    assert "the last update failed: what is there is read again first" in again.err
    assert (slow.root / "begun").read_text().startswith("read")
    assert again.document["changes"] != {}
    assert "read again" not in opsctl(*DEPLOY).err
