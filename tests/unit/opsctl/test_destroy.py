"""The end of a stack, with the real engine: what is refused, what is deleted, what is said to stay."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from opsctl.deploy.engine import Resource
from opsctl.deploy.teardown import stays
from opsctl.project import Project, engine_environment, find_pulumi
from tests.unit.opsctl.world import World

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Run

PROGRAM = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider


class Kept(ResourceProvider):
    def create(self, props):
        return CreateResult("id", {})

    def delete(self, id_, props):
        if props.get("stuck"):
            raise Exception("DependencyViolation: it is in use")


class Thing(Resource, name="Thing"):
    pass


config = pulumi.Config("rag-platform")
protect = pulumi.ResourceOptions(protect=config.get("protect") == "true")
Thing(Kept(), "data", {"stuck": None}, protect)
Thing(Kept(), "door", {"stuck": None})
pulumi.export("topology", "ecs")
pulumi.export("region", "eu-north-1")
pulumi.export("endpoint", {"name": "twin"})
"""


@pytest.fixture
def stack(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    (world.root / "__main__.py").write_text(PROGRAM)
    monkeypatch.setattr("opsctl.aws.limits.endpoint_state", lambda *_: "")
    return world


def pulumi(world: World, *words: str) -> str:
    import os

    environ = engine_environment(Project(world.root), "dev", os.environ)
    program = find_pulumi(Project(world.root), os.environ)
    done = subprocess.run([program, *words, "-s", "dev"], env=environ, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.pulumi
def test_a_stack_ends_once_nothing_protects_it(opsctl: Run, stack: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi(stack, "config", "set", "protect", "true")
    pulumi(stack, "up", "--yes", "--skip-preview")
    refused = opsctl("destroy", "--stack", "dev", "--yes")
    assert refused.code == 2
    assert "1 resources of stack 'dev' are protected (data)" in refused.err
    assert "pulumi config set protect false --stack dev" in refused.err

    pulumi(stack, "config", "set", "protect", "false")
    pulumi(stack, "up", "--yes", "--skip-preview")
    monkeypatch.setattr("opsctl.aws.limits.endpoint_state", lambda *_: "InService")
    running = opsctl("destroy", "--stack", "dev", "--yes")
    assert (running.code, "'twin' is InService and is paid by the hour" in running.err) == (2, True)

    monkeypatch.setattr("opsctl.aws.limits.endpoint_state", lambda *_: "")
    without_consent = opsctl("destroy", "--stack", "dev")
    assert (without_consent.code, "give --yes" in without_consent.err) == (2, True)
    assert "data" in pulumi(stack, "stack", "--show-urns"), "nothing was deleted yet"

    done = opsctl("destroy", "--stack", "dev", "--yes", "-o", "json")
    assert done.code == 0, done.err
    assert done.document["stays"] == []
    assert done.document["deleted"]["delete"] >= 2
    assert "data" not in pulumi(stack, "stack", "--show-urns")
    again = opsctl("destroy", "--stack", "dev", "--yes")
    assert (again.code, "the stack has nothing" in again.err) == (0, True)


@pytest.mark.pulumi
def test_what_can_not_be_deleted_is_the_clouds_refusal(opsctl: Run, stack: World) -> None:
    program = stack.root / "__main__.py"
    program.write_text(PROGRAM.replace('CreateResult("id", {})', 'CreateResult("id", {"stuck": "yes"})'))
    pulumi(stack, "up", "--yes", "--skip-preview")
    stuck = opsctl("destroy", "--stack", "dev", "--yes")
    assert stuck.code == 3
    assert "DependencyViolation: it is in use" in stuck.err.splitlines()[-1]


def test_what_outlives_its_maker_is_named_with_the_command_that_finds_it() -> None:
    policy = Resource("aws:dlm/lifecyclePolicy:LifecyclePolicy", "snapshots", protected=False)
    (left,) = stays("prod", [policy, Resource("aws:ec2/vpc:Vpc", "network", protected=False)])
    assert left.startswith("snapshots that the nightly policy made")
    assert "Name=tag:stack,Values=prod" in left
