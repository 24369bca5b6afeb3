"""Callers' keys and vendors' secrets through the real engine: what ends up in the stack file, and in no argument."""

from __future__ import annotations

import datetime as dt
import io
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from opsctl.credentials import callers, vendors
from opsctl.errors import NotDeployed, NotUsable, ToolMissing
from opsctl.project import Project, engine_environment, find_pulumi
from opsctl.stack import Delivery
from opsctl.stack_config import read_stack_config

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Ended, Run

CHECKOUT = Path(__file__).parents[3]
PLANTED = "sk-proj-planted-value-0123456789"
ARN = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:rag/dev/apiKey-batch-Xy"
WHEN = dt.datetime(2026, 11, 1, 12, 30, tzinfo=dt.UTC)


@dataclass(frozen=True)
class World:
    root: Path
    opsctl: Run

    @property
    def text(self) -> str:
        return (self.root / "Pulumi.dev.yaml").read_text()

    def key(self, path: str) -> object:
        first, *rest = path.split(".")
        found = yaml.safe_load(self.text)["config"].get(f"rag-platform:{first}")
        for part in rest:
            found = (found or {}).get(part)
        return found

    @property
    def arguments(self) -> str:
        return (self.root / "arguments").read_text()

    def run(self, *words: str) -> Ended:
        return self.opsctl(*words, "--stack", "dev")


@pytest.fixture
def world(tmp_path: Path, opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> World:
    """The stack `dev` on a file backend; a shim in front of the engine keeps every argument that it was given."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{CHECKOUT / '.tools' / 'bin'}")
    try:
        engine = find_pulumi(Project(CHECKOUT), os.environ)
    except ToolMissing:
        pytest.skip("no Pulumi CLI on PATH or in .tools/bin")
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        shutil.copy(CHECKOUT / name, tmp_path)
    (tmp_path / "state").mkdir()
    shim = tmp_path / "bin" / "pulumi"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/arguments\nexec {engine} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/state")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    monkeypatch.chdir(tmp_path)
    environ = engine_environment(Project(tmp_path), "dev", os.environ)
    subprocess.run([engine, "stack", "init", "dev"], env=environ, check=True, capture_output=True)
    return World(tmp_path, opsctl)


@pytest.mark.pulumi
def test_a_vendors_secret_goes_from_stdin_into_the_config_encrypted_and_nowhere_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PLANTED}\n"))
    ended = world.run("secrets", "set", "openaiApiKey")
    assert ended.code == 0, ended.err
    assert "next: `opsctl deploy --stack dev`" in ended.err
    assert list(dict(world.key("secrets.openaiApiKey"))) == ["secure"]  # type: ignore[call-overload]
    assert PLANTED not in world.text + world.arguments + ended.out + ended.err
    listed = world.run("secrets", "list", "-o", "json")
    assert listed.document["secrets"] == [{"name": "openaiApiKey", "inConfig": True, "arn": None, "changed": None}]
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    empty = world.run("secrets", "set", "openaiApiKey")
    assert (empty.code, "is empty" in empty.err) == (2, True)
    unknown = world.run("secrets", "set", "openAiKey")
    assert (unknown.code, "they are fallbackApiKey, " in unknown.err) == (2, True)


@pytest.mark.pulumi
def test_a_callers_life_is_a_few_keys_of_the_stack_file(world: World) -> None:
    created = world.run("api-keys", "create", "batch", "--requests-per-minute", "600")
    assert created.code == 0, created.err
    assert world.key("access.keys.batch") == {"requestsPerMinute": 600, "revision": 1}
    assert world.run("api-keys", "create", "batch").code == 2
    assert world.run("api-keys", "rotate", "batch").code == 0
    assert world.run("secrets", "rotate", "apiKey-batch").code == 0
    assert world.key("access.keys.batch.revision") == 3
    listed = world.run("api-keys", "list", "-o", "json")
    assert [(key["name"], key["requestsPerMinute"]) for key in listed.document["keys"]] == [
        ("batch", 600),
        ("default", 60),
    ]
    shown = world.run("api-keys", "list")
    assert "made by the next `opsctl deploy`" in shown.out
    assert world.run("api-keys", "revoke", "batch", "--yes").code == 0
    assert world.key("access.keys.batch") is None
    assert world.run("api-keys", "revoke", "batch", "--yes").code == 2
    refused = world.run("api-keys", "revoke", "default", "--yes")
    assert (refused.code, "smoke test" in refused.err) == (2, True)
    assert read_stack_config(Project(world.root), "dev").access.keys.keys() == {"default"}


@pytest.mark.pulumi
def test_a_limit_that_can_not_be_kept_leaves_the_stack_file_as_it_was(world: World) -> None:
    before = world.text
    ended = world.run("api-keys", "create", "batch", "--usd-per-hour", "1.5")
    assert (ended.code, "generation.usdPerMtok" in ended.err) == (2, True)
    assert world.text == before


def test_what_the_stack_keeps_is_listed_with_the_time_of_its_value() -> None:
    cfg = read_stack_config(Project(CHECKOUT), "dev")
    delivery = Delivery(topology="ecs", secrets={"openaiApiKey": "arn:o", "apiKey-batch": ARN})
    found = vendors.listed(cfg, delivery, {"arn:o": None, ARN: WHEN}.get)
    assert [(each.name, each.given, each.changed) for each in found] == [
        ("apiKey-batch", None, WHEN),
        ("openaiApiKey", False, None),
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [("openaiApiKey", "only the vendor"), ("redisUrl", "is made once"), ("apiKeys", "is made once")],
)
def test_only_callers_keys_are_rotated_by_the_stack(name: str, said: str) -> None:
    with pytest.raises(NotUsable, match=said):
        vendors.rotate(None, name)  # type: ignore[arg-type]


def test_a_key_is_shown_only_once_it_is_made_and_only_of_a_known_caller() -> None:
    cfg = read_stack_config(Project(CHECKOUT), "dev")
    kept = Delivery(topology="ecs", secrets={"apiKey-default": ARN})
    assert callers.arn_of(cfg, kept, "default") == ARN
    with pytest.raises(NotDeployed, match="isn't made yet"):
        callers.arn_of(cfg, Delivery(topology="ecs"), "default")
    with pytest.raises(NotUsable, match="callers are default"):
        callers.arn_of(cfg, kept, "nobody")
