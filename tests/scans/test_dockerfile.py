from __future__ import annotations

import json
import os
import subprocess

import pytest


def test_checkov_finds_nothing_in_the_dockerfile() -> None:
    checkov = os.environ.get("CHECKOV")
    if not checkov:
        pytest.skip("`make scan-manifests` sets CHECKOV")
    words = [
        checkov,
        "-f",
        "service/Dockerfile",
        "--framework",
        "dockerfile",
        "--skip-download",
        "--quiet",
        "-o",
        "json",
    ]
    report = json.loads(subprocess.run(words, capture_output=True, text=True, check=False).stdout)
    assert report["summary"]["passed"] > 100, "the scan saw too little"
    assert [found["check_id"] for found in report["results"]["failed_checks"]] == []
