"""checkov's findings against the waiver file: what fails without one, and which waiver matches nothing any more."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

WAIVERS = Path(__file__).parent / "scan_waivers.yaml"


@dataclass(frozen=True)
class Waiver:
    """One accepted finding: which check, on what, why, since when."""

    check: str
    resource: str
    reason: str
    date: str

    def matches(self, check: str, resource: str) -> bool:
        return check == self.check and fnmatch.fnmatch(resource, self.resource)


def waivers(file: Path = WAIVERS) -> list[Waiver]:
    return [Waiver(**{key: str(value) for key, value in each.items()}) for each in yaml.safe_load(file.read_text())]


def findings(state: Path, *, least: int = 100) -> list[tuple[str, str]]:
    """Check and resource of every failure in an exported state, offline; a test without the tools is skipped.

    `least` checks must pass, or it saw too little.
    """
    checkov, export_plan = os.environ.get("CHECKOV"), os.environ.get("EXPORT_PLAN")
    if not checkov or not export_plan:
        pytest.skip("`make e2e` sets CHECKOV and EXPORT_PLAN")
    plan = state.with_name("plan.json")
    with plan.open("w") as file:
        subprocess.run([export_plan, str(state)], stdout=file, check=True)
    words = [checkov, "-f", str(plan), "--framework", "terraform_plan", "--skip-download", "--quiet", "-o", "json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    report: Any = json.loads(done.stdout)
    first = report[0] if isinstance(report, list) else report
    assert first["summary"]["passed"] > least, "the scan saw too little"
    return sorted((each["check_id"], each["resource"]) for each in first["results"]["failed_checks"])


def unwaived(found: list[tuple[str, str]], accepted: list[Waiver]) -> list[tuple[str, str]]:
    return [each for each in found if not any(waiver.matches(*each) for waiver in accepted)]


def unused(found: list[tuple[str, str]], accepted: list[Waiver]) -> list[Waiver]:
    return [waiver for waiver in accepted if not any(waiver.matches(*each) for each in found)]
