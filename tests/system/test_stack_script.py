"""tools/stack.sh against the real engine: it tells a stack that isn't there from a backend that can't say."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "stack.sh"

pytestmark = pytest.mark.pulumi


def stack_sh(action: str, backend: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), action, "nosuch"],
        env={**os.environ, "PULUMI_BACKEND_URL": backend, "PULUMI_CONFIG_PASSPHRASE": "test"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_stack_that_is_not_there_leaves_nothing_to_do(tmp_path: Path) -> None:
    done = stack_sh("down", tmp_path.as_uri())
    assert (done.returncode, done.stdout, done.stderr) == (0, "no stack nosuch: nothing to do\n", "")


@pytest.mark.parametrize("action", ["up", "down"])
def test_a_broken_backend_is_told_in_pulumi_s_words_and_ends_with_3(action: str, tmp_path: Path) -> None:
    done = stack_sh(action, (tmp_path / "gone").as_uri())
    assert done.returncode == 3
    assert "unable to open bucket" in done.stderr
    assert "check `pulumi whoami -v`" in done.stderr.splitlines()[-1]
    assert "nothing to do" not in done.stdout
