"""A project on a file backend, driven by the real engine, beside a played ECS and a played service."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opsctl.errors import ToolMissing
from opsctl.project import Project, engine_environment, find_pulumi
from tests.unit.opsctl.conftest import Reply
from tests.unit.opsctl.test_verdict import ecs_says

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import PlayedService

PROGRAM = """
import pulumi

service = pulumi.Config("rag-platform").get_object("service") or {{}}
image = service.get("image")
if image and "refused" in image:
    raise pulumi.RunError("AccessDenied: no ecr:GetImage")
if image and "stuck" in image and not pulumi.runtime.is_dry_run():
    raise pulumi.RunError("the rollout has made no progress")
revision = image and "arn:aws:ecs:eu-north-1:123456789012:task-definition/" + image.rpartition("/")[2]
pulumi.ComponentResource("rag-platform:topology:Ecs", "rag-" + str(len(image or "")))
pulumi.export("topology", "ecs")
pulumi.export("region", "eu-north-1")
pulumi.export("url", "{url}")
pulumi.export("release", {{"image": image, "revision": revision}})
pulumi.export("cluster", {{"name": "k", "service": "rag"}} if image else None)
"""
GOOD, BETTER, BAD = "r/rag-good", "r/rag-better", "r/rag-fail-to-start"


def revision(image: str) -> str:
    return f"arn:aws:ecs:eu-north-1:123456789012:task-definition/{image.rpartition('/')[2]}"


@dataclass(frozen=True)
class World:
    """A project on a file backend, driven by the real engine, beside a played ECS and a played service."""

    root: Path
    service: PlayedService

    def runs(self, image: str, **changed: Any) -> None:
        ecs_says(self.service, primary=revision(image), image=image, **changed)
        self.service.says("/readyz", Reply(body={"status": "ready", "release": image}))

    @property
    def config(self) -> str:
        return (self.root / "Pulumi.dev.yaml").read_text()


@pytest.fixture
def world(tmp_path: Path, service: PlayedService, monkeypatch: pytest.MonkeyPatch) -> World:
    checkout = Project(Path(__file__).parents[3])
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{checkout.tools}")
    try:
        engine = find_pulumi(checkout, os.environ)
    except ToolMissing:
        pytest.skip("no Pulumi CLI on PATH or in .tools/bin")
    (tmp_path / "Pulumi.yaml").write_text("name: rag-platform\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  rag-platform:service: {cpu: 2}\n")
    (tmp_path / "__main__.py").write_text(PROGRAM.format(url=service.url))
    (tmp_path / "golden.yaml").write_text("questions: [{question: What is FastAPI?, title: fastapi}]")
    (tmp_path / "state").mkdir()
    for name, value in {
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
        "PULUMI_CONFIG_PASSPHRASE": "x",
        "AWS_ENDPOINT_URL": service.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    environ = engine_environment(Project(tmp_path), "dev", os.environ)
    subprocess.run([engine, "stack", "init", "dev"], env=environ, check=True, capture_output=True)
    return World(tmp_path, service)
