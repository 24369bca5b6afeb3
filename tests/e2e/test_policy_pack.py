"""The policy pack in the real engine: a bad program is refused by name, and what can be put right safely is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT

PROGRAM = """
import pulumi
import pulumi_aws as aws


class Ecs(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("rag-platform:topology:Ecs", "bad")
        child = pulumi.ResourceOptions(parent=self)
        aws.ecs.Cluster("untagged", settings=[{"name": "containerInsights", "value": "enabled"}], opts=child)
        aws.ec2.SecurityGroup("inline", description="x", tags={"owner": "me"}, ingress=[{"protocol": "tcp",
            "from_port": 22, "to_port": 22, "cidr_blocks": ["0.0.0.0/0"], "description": "x"}], opts=child)


Ecs()
"""


@pytest.fixture(scope="module")
def preview(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    folder: Path = tmp_path_factory.mktemp("bad")
    (folder / "Pulumi.yaml").write_text("name: bad-program\nruntime: python\n")
    (folder / "__main__.py").write_text(PROGRAM)

    def pulumi(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(shutil.which("pulumi")), *words, "--non-interactive"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

    pulumi("stack", "init", "bad")
    return pulumi("preview", "--stack", "bad", "--diff", "--policy-pack", str(ROOT / "infra" / "policies"))


def test_a_bad_program_is_refused_and_the_rules_are_named(preview: subprocess.CompletedProcess[str]) -> None:
    said = preview.stdout + preview.stderr
    assert preview.returncode != 0, said
    assert "no-inline-rules" in said
    assert "budget-exists" in said
    assert "ecs-breaker-on-with-rollback" not in said


def test_missing_tags_are_put_right(preview: subprocess.CompletedProcess[str]) -> None:
    said = preview.stdout + preview.stderr
    assert "[remediate]  every-resource-tagged" in said
    assert "[mandatory]  every-resource-tagged" not in said
    assert 'topology: "ecs"' in said
