from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("platform", ["aarch64-manylinux_2_28", "x86_64-manylinux_2_28"])
@pytest.mark.parametrize("lock", ["service.txt", "lambda.txt", "embedder.txt"])
def test_every_package_has_a_wheel(lock: str, platform: str, tmp_path: Path) -> None:
    """For glibc 2.28 and Python 3.12: Debian 12 and Amazon Linux 2023 are newer. The index is asked."""
    uv = Path(sys.executable).with_name("uv")
    options = ["--python-version", "3.12", "--python-platform", platform, "--only-binary", ":all:", "--no-deps"]
    command = [
        uv,
        "pip",
        "install",
        "--dry-run",
        "--target",
        tmp_path,
        *options,
        "--require-hashes",
        "-r",
        f"requirements/{lock}",
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
