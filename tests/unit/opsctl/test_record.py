"""What each release came to is kept, and nobody is sent back to one that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsctl.deploy.engine import Engine
from opsctl.errors import CloudRefused
from tests.unit.opsctl.test_verdict import BREAKER
from tests.unit.opsctl.world import BAD, BETTER, GOOD, World

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Ended, Run

pytestmark = pytest.mark.pulumi

QUICK = ("--stack", "dev", "--yes", "--no-smoke-test")


def deploys(opsctl: Run, image: str, *more: str) -> Ended:
    return opsctl("deploy", *QUICK, "--no-preflight", "--image", image, *more)


def test_after_a_way_back_a_rollback_goes_further_back_and_not_to_what_failed(opsctl: Run, world: World) -> None:
    for image in (GOOD, BETTER):
        world.runs(image)
        assert deploys(opsctl, image).code == 0
    assert deploys(opsctl, BAD).code == 5  # what runs is still the better one, so that the way back is proved
    world.runs(GOOD)
    back = opsctl("rollback", *QUICK)
    assert (back.code, f"going back to {GOOD}" in back.err) == (0, True), back.err
    failed = "failed: stack 'dev' doesn't run what was asked for: rag-better runs, not rag-fail-to-start"
    listed = opsctl("releases", "--stack", "dev", "--no-cost", "-o", "json").document["releases"]
    assert [(each["number"], each["image"], each["engine"], each["verdict"]) for each in listed] == [
        (5, GOOD, "succeeded", "running"),
        (4, BETTER, "succeeded", "running"),
        (3, BAD, "succeeded", failed),
        (2, BETTER, "succeeded", "running"),
        (1, GOOD, "succeeded", "running"),
    ]


def test_after_a_failure_that_was_left_there_the_way_back_is_to_what_ran_before(opsctl: Run, world: World) -> None:
    world.runs(GOOD)
    assert deploys(opsctl, GOOD).code == 0
    assert deploys(opsctl, BAD, "--no-rollback").code == 5
    again = deploys(opsctl, "r/rag-fail-to-start-again")
    assert again.code == 5
    assert f"went back to {GOOD}, which runs" in again.err.splitlines()[-1]


def test_a_later_proof_takes_the_place_of_a_failure(opsctl: Run, world: World) -> None:
    for image in (GOOD, BETTER):
        world.runs(image)
        assert deploys(opsctl, image).code == 0
    world.runs(GOOD, newest="ROLLBACK_SUCCESSFUL", reason=BREAKER)
    assert deploys(opsctl, BETTER, "--no-rollback").code == 5
    world.runs(BETTER)
    assert deploys(opsctl, BETTER).code == 0
    world.runs(GOOD)
    assert deploys(opsctl, GOOD).code == 0
    back = opsctl("rollback", *QUICK, "--no-smoke-test")
    assert f"going back to {BETTER}" in back.err


def test_a_backend_that_takes_no_tag_changes_no_verdict(
    opsctl: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise CloudRefused("`pulumi stack tag set` failed: AccessDenied", next_step="ask for the right to")

    monkeypatch.setattr(Engine, "set_tag", refuses)
    world.runs(GOOD)
    done = deploys(opsctl, GOOD)
    assert done.code == 0
    assert "could not be written down: `pulumi stack tag set` failed: AccessDenied" in done.err


def test_a_hybrid_takes_no_image(opsctl: Run, world: World) -> None:
    before = world.config.replace("config:\n", "config:\n  rag-platform:topology: hybrid\n")
    (world.root / "Pulumi.dev.yaml").write_text(before)
    done = deploys(opsctl, GOOD)
    assert done.code == 2
    assert "a hybrid runs no image" in done.err.splitlines()[-1]
    assert world.config == before


def test_ctrl_c_while_the_image_is_written_leaves_none(
    opsctl: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, pressed = Engine.set_image, iter([True])

    def interrupted(engine: Engine, image: str | None) -> None:
        writes(engine, image)
        if next(pressed, False):
            raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "set_image", interrupted)
    assert deploys(opsctl, GOOD).code == 130
    assert GOOD not in world.config


def test_what_could_not_begin_prints_no_table(opsctl: Run, world: World) -> None:
    done = opsctl("deploy", "--stack", "nope", "--yes")
    assert (done.code, done.out) == (2, "")
    assert "there is no stack 'nope'" in done.err
