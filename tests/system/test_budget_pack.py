"""The budget pack in the real engine: a stack that would cost more than its budget is refused, or told in dev."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.cloud_cases import ROOT, stack_file

pytestmark = pytest.mark.pulumi


def preview(folder: Path, stack: str, budget: int) -> subprocess.CompletedProcess[str]:
    """Preview a program that declares nothing: what the config asks for outside it costs enough."""
    cli = shutil.which("pulumi")
    if cli is None:
        pytest.fail("no Pulumi CLI: run `make tools`") if os.environ.get("CI") == "true" else pytest.skip(
            "no Pulumi CLI"
        )
    (folder / "Pulumi.yaml").write_text("name: rag-platform\nruntime: python\n")
    (folder / "__main__.py").write_text("import pulumi\n")
    tree = stack_file(stack) | {"budget": {"monthlyUsd": budget}}
    config = {key if ":" in key else f"rag-platform:{key}": value for key, value in tree.items()}
    (folder / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": config}))
    (folder / "state").mkdir()
    environ = {**os.environ, "PULUMI_BACKEND_URL": (folder / "state").as_uri(), "PULUMI_CONFIG_PASSPHRASE": "test"}
    environ.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)

    def pulumi(*words: str) -> subprocess.CompletedProcess[str]:
        command = [cli, *words, "--stack", stack, "--non-interactive"]
        return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)

    pulumi("stack", "init")
    pulumi("config", "set", "--secret", "--path", "rag-platform:secrets.openaiApiKey", "planted")
    return pulumi("preview", "--policy-pack", str(ROOT / "opsctl" / "policies"))


def test_production_over_its_budget_is_refused_with_the_largest_lines(tmp_path: Path) -> None:
    done = preview(tmp_path, "prod", 1000)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "[mandatory]  within-budget" in said
    assert "endpoint twin/sagemaker.host.ml.g5.2xlarge.hour 1,153.40" in said
    assert "planted" not in said


def test_production_within_its_budget_passes(tmp_path: Path) -> None:
    done = preview(tmp_path, "prod", 5000)
    assert done.returncode == 0, done.stdout + done.stderr


def test_development_over_its_budget_is_told(tmp_path: Path) -> None:
    done = preview(tmp_path, "dev", 1)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "[advisory]  within-budget-development" in said
