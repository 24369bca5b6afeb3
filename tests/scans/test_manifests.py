"""The rendered Kubernetes objects before the scanners of the field: no finding that isn't waived with a reason."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from infra import manifests
from tests.e2e import scan
from tests.infra.cloud_cases import program
from tests.infra.kube_cases import ROOM, SIDECAR, STORES

WAIVERS = Path(__file__).parent / "manifest_waivers.yaml"
OPTIONAL = "container-seccomp-profile"
PASSED = 10  # kube-score's grade
CASES: dict[str, dict[str, Any]] = {"stores": STORES, "sidecar": SIDECAR}


def tool(name: str) -> str:
    path = os.environ.get(name)
    if path is None:
        reason = f"`make scan-manifests` sets {name}"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The objects of every case in a namespace of its own."""
    made = tmp_path_factory.mktemp("manifests")
    for name, more in CASES.items():
        declared = [(each.type, each.inputs) for each in program("prod", topology="eks", **ROOM | more).resources]
        for file, text in manifests.rendered(declared, "a test").items():
            (made / f"{name}-{file}").write_text(text.replace("rag-prod", f"rag-{name}"))
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> list[tuple[str, str]]:
    return [*_checkov(folder), *_kube_score(folder)]


def _checkov(folder: Path) -> list[tuple[str, str]]:
    words = [
        tool("CHECKOV"),
        "-d",
        str(folder),
        "--framework",
        "kubernetes",
        "--skip-download",
        "--quiet",
        "-o",
        "json",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    report: Any = json.loads(done.stdout)
    first = report[0] if isinstance(report, list) else report
    assert first["summary"]["passed"] > 300, "the scan saw too little"
    assert first["summary"]["parsing_errors"] == 0
    return sorted((each["check_id"], each["resource"]) for each in first["results"]["failed_checks"])


def _kube_score(folder: Path) -> list[tuple[str, str]]:
    files = sorted(str(each) for each in folder.glob("*.yaml"))
    words = [tool("KUBE_SCORE"), "score", "-o", "json", "--kubernetes-version", "v1.35"]
    done = subprocess.run(
        [*words, "--enable-optional-test", OPTIONAL, *files], capture_output=True, text=True, check=False
    )
    report: Any = json.loads(done.stdout)
    graded = [(each["object_name"], check) for each in report for check in each["checks"] if not check["skipped"]]
    assert len(graded) > 100, "the scan saw too little"
    return sorted((check["check"]["id"], name) for name, check in graded if check["grade"] < PASSED)


def test_nothing_is_found_that_is_not_waived(found: list[tuple[str, str]]) -> None:
    assert scan.unwaived(found, scan.waivers(WAIVERS)) == []


def test_every_waiver_still_matches_something(found: list[tuple[str, str]]) -> None:
    assert scan.unused(found, scan.waivers(WAIVERS)) == []


@pytest.mark.parametrize("version", ["1.34", "1.35"])
def test_every_object_is_as_its_schema_says_and_has_no_field_more(folder: Path, version: str) -> None:
    files = sorted(folder.glob("*.yaml"))
    assert len(files) > 40
    for file in files:
        kubernetes_validate.validate(yaml.safe_load(file.read_text()), version, strict=True)
