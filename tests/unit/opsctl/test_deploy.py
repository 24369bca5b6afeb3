from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from opsctl.deploy.report import spelled
from opsctl.preflight.check import Check
from tests.infra.cloud_cases import config
from tests.unit.opsctl.conftest import Reply
from tests.unit.opsctl.test_verdict import BREAKER
from tests.unit.opsctl.world import BAD, BETTER, GOOD, World

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Run

pytestmark = pytest.mark.pulumi


def test_the_operators_day(opsctl: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stack through its life: first phase, a good image, a forged success, and the way back."""
    first = opsctl("deploy", "--no-preflight", "--stack", "dev", "--yes", "-o", "json")
    assert (first.code, first.document["verdict"], first.document["topology"]) == (0, None, "ecs")
    assert "opsctl image push" in first.err

    golden = ("--golden", "golden.yaml", "--timeout", "10", "-o", "json")
    world.runs(GOOD)
    good = opsctl("deploy", "--no-preflight", "--stack", "dev", "--yes", "--image", GOOD, *golden)
    assert good.code == 0, good.err
    assert good.document["verdict"]["status"] == "running"
    assert good.document["running"]["images"] == [GOOD]
    assert good.document["smokeTest"]["ok"]
    assert good.document["changes"]["create"] >= 1
    assert "create rag-platform:topology:Ecs" in good.err

    again = opsctl("deploy", "--no-preflight", "--stack", "dev", "--yes", "--no-smoke-test", "-o", "json")
    assert (again.code, again.document["changes"], again.document["smokeTest"]) == (0, {}, None)
    assert "nothing to change" in again.err

    world.runs(GOOD, newest="ROLLBACK_SUCCESSFUL", reason=BREAKER)
    bad = opsctl("deploy", "--no-preflight", "--stack", "dev", "--yes", "--no-rollback", "--image", BAD, "-o", "json")
    assert bad.code == 5
    assert bad.document["verdict"] == {
        "status": "rolled back",
        "why": f"rag-good runs, not rag-fail-to-start: {BREAKER}",
    }
    assert "opsctl rollback --stack dev" in bad.err.splitlines()[-1]

    world.runs(GOOD)
    back = opsctl("rollback", "--stack", "dev", "--yes", *golden)
    assert back.code == 0, back.err
    assert f"going back to {GOOD}" in back.err
    assert f"image: {GOOD}" in world.config

    monkeypatch.setattr("opsctl.deploy.run.FIRST_ANSWER_S", 0.1)
    world.service.says("/readyz", Reply(body={"status": "ready", "release": BETTER}))
    stale = opsctl("deploy", "--no-preflight", "--stack", "dev", "--yes", *golden)
    assert (stale.code, stale.document["verdict"]["status"]) == (1, "running")
    assert f"release {BETTER} answers, not {GOOD}" in str(stale.document["smokeTest"])

    world.runs(GOOD)
    world.service.hangs("/rag")
    broken = opsctl(
        "deploy", "--no-preflight", "--stack", "dev", "--yes", "--golden", "golden.yaml", "--timeout", "0.3"
    )
    assert broken.code == 1
    assert "rag-good runs, 2 of 2 replicas" in broken.out
    assert "the smoke test of stack 'dev' fails: rag" in broken.err.splitlines()[-1]


def test_what_does_not_run_is_taken_back_and_the_way_back_is_proved(opsctl: Run, world: World) -> None:
    golden = ("--golden", "golden.yaml", "--timeout", "10", "-o", "json")
    world.runs(GOOD)
    assert opsctl("deploy", "--no-preflight", "--stack", "dev", "--yes", "--image", GOOD, *golden).code == 0
    bad = opsctl(
        "deploy", "--no-preflight", "--stack", "dev", "--yes", "--image", BAD, *golden
    )  # the platform kept GOOD
    assert bad.code == 5
    assert (bad.document["verdict"]["status"], bad.document["ok"]) == ("rolled back", False)
    way_back = bad.document["wayBack"]
    assert (way_back["ok"], way_back["verdict"]["status"], way_back["running"]["images"]) == (True, "running", [GOOD])
    assert way_back["smokeTest"]["ok"], "the way back is tested too"
    assert f"went back to {GOOD}, which runs" in bad.err.splitlines()[-1]
    assert f"image: {GOOD}" in world.config


def test_an_update_that_failed_of_its_rollout_is_taken_back_too(opsctl: Run, world: World) -> None:
    """On Kubernetes the engine itself waits for the rollout, and the update fails with it."""
    world.runs(GOOD)
    deploy = ("deploy", "--no-preflight", "--stack", "dev", "--yes", "--no-smoke-test", "-o", "json")
    assert opsctl(*deploy, "--image", GOOD).code == 0
    world.runs(GOOD, newest="ROLLBACK_SUCCESSFUL", reason=BREAKER)
    bad = opsctl(*deploy, "--image", "r/rag-stuck")
    assert bad.code == 5
    assert (bad.document["verdict"], bad.document["wayBack"]["verdict"]["status"]) == (None, "running")
    assert BREAKER in bad.err.splitlines()[-1]
    assert f"image: {GOOD}" in world.config


def test_a_way_back_that_fails_is_told_with_both_reasons(opsctl: Run, world: World) -> None:
    world.runs(GOOD)
    deploy = ("deploy", "--no-preflight", "--stack", "dev", "--yes", "--no-smoke-test")
    assert opsctl(*deploy, "--image", GOOD).code == 0
    world.runs(BETTER)  # whatever is asked for, this is what the platform runs
    bad = opsctl(*deploy, "--image", BAD)
    assert bad.code == 5
    last = bad.err.splitlines()[-1]
    assert "rag-better runs, not rag-fail-to-start" in last
    assert f"the way back to {GOOD} failed: stack 'dev' doesn't run what was asked for: rag-better runs" in last


def test_releases_are_listed_with_what_runs_and_gone_back_to_by_number(opsctl: Run, world: World) -> None:
    deploy = ("deploy", "--no-preflight", "--stack", "dev", "--yes", "--no-smoke-test", "--no-rollback", "--image")
    for image in (GOOD, BETTER):
        world.runs(image)
        assert opsctl(*deploy, image).code == 0
    world.runs(BETTER)
    assert opsctl(*deploy, BAD).code == 5
    found = opsctl("releases", "--stack", "dev", "-o", "json").document
    listed = {each["number"]: (each["image"], each["engine"]) for each in found["releases"]}
    assert listed == {3: (BAD, "succeeded"), 2: (BETTER, "succeeded"), 1: (GOOD, "succeeded")}
    assert found["now"] == {"status": "rolled back", "why": "rag-better runs, not rag-fail-to-start"}
    shown = opsctl("releases", "--stack", "dev", "--most", "1")
    assert (shown.code, BAD in shown.out, GOOD in shown.out) == (0, True, False)
    assert "rolled back: rag-better runs" in shown.out

    world.runs(GOOD)
    back = opsctl("rollback", "--stack", "dev", "--yes", "--to", "1", "--no-smoke-test")
    assert back.code == 0, back.err
    assert f"image: {GOOD}" in world.config
    nowhere = opsctl("rollback", "--stack", "dev", "--yes", "--to", "99")
    assert (nowhere.code, "see `opsctl releases -s dev`" in nowhere.err) == (2, True)


def test_a_preflight_that_fails_changes_nothing(opsctl: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsctl.deploy.run.read_stack_config", lambda _, stack: config(stack))
    monkeypatch.setattr("opsctl.preflight.observe.Observer.facts", lambda _: None)
    found = [Check("image", "failed", "no such digest", "`opsctl image push`"), Check("cost", "unknown", "no prices")]
    monkeypatch.setattr("opsctl.preflight.judge.judge", lambda *_: found)
    refused = opsctl("deploy", "--stack", "dev", "--yes", "--image", GOOD, "-o", "json")
    assert (refused.code, refused.document["changes"]) == (1, {})
    assert "image would not hold; nothing was created" in refused.err.splitlines()[-1]
    assert "image: failed: no such digest; `opsctl image push`" in refused.err
    assert [each["name"] for each in refused.document["preflight"]] == ["image", "cost"]
    assert GOOD not in world.config

    found[0] = Check("image", "ok", "amd64")
    world.runs(GOOD)
    done = opsctl("deploy", "--stack", "dev", "--yes", "--image", GOOD, "--no-smoke-test", "-o", "json")
    assert done.code == 0, done.err
    assert "cost: unknown: no prices" in done.err
    assert float(done.document["monthlyUsd"]["after"]) > 1
    assert "USD a month" in done.err


def test_a_first_deployment_has_nothing_to_go_back_to(opsctl: Run, world: World) -> None:
    world.runs(BAD, rollout="FAILED")
    first = opsctl("deploy", "--no-preflight", "--stack", "dev", "--yes", "--image", BAD)
    assert first.code == 5
    assert first.err.splitlines()[-1].endswith("deploy a corrected image; there is no earlier image to go back to")
    back = opsctl("rollback", "--stack", "dev", "--yes")
    assert (back.code, "no earlier image" in back.err) == (2, True)


def test_a_refused_deployment_leaves_the_stack_config_as_it_was(opsctl: Run, world: World) -> None:
    without_consent = opsctl("deploy", "--no-preflight", "--stack", "dev", "--image", GOOD)
    assert without_consent.code == 2
    assert "give --yes" in without_consent.err
    assert GOOD not in world.config

    refused = opsctl("deploy", "--no-preflight", "--stack", "dev", "--yes", "--image", "r/refused", "-o", "json")
    assert refused.code == 3
    assert "AccessDenied: no ecr:GetImage" in refused.document["problem"]
    assert len(refused.err.splitlines()[-1]) < 400
    assert "r/refused" not in world.config

    assert opsctl("rollback", "--stack", "dev", "--yes").code == 2

    missing = opsctl("deploy", "--no-preflight", "--stack", "prod", "--yes")
    assert missing.code == 2
    assert "no stack 'prod'" in missing.err
    assert "pulumi stack init prod" in missing.err


def test_changes_are_spelled_with_the_dangerous_first() -> None:
    assert (
        spelled({"create": 3, "delete": 1, "update": 2, "read": 1})
        == "1 to delete, 2 to update, 3 to create, 1 to read"
    )
    assert spelled({}) == ""


def test_help_of_deploy_needs_no_boto3() -> None:
    script = (
        "import json, sys; from opsctl.cli import main; main(['deploy', '--help']); "
        "print(json.dumps([n for n in ('boto3', 'numpy') if n in sys.modules]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == []
