"""opsctl as an operator types it, in the stack's project folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit.opsctl.conftest import Ended

if TYPE_CHECKING:
    from tests.e2e.stack import Stack


def typed(stack: Stack, command: str, *more: str, **environ: str) -> Ended:
    """`opsctl COMMAND --stack S --output json MORE`; what it said is kept in the stack's log."""
    words = [str(Path(sys.executable).with_name("opsctl")), command, "--stack", stack.name, "--output", "json", *more]
    done = subprocess.run(
        words, cwd=stack.folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    stack.log += [done.stdout, done.stderr]
    return Ended(done.returncode, done.stdout, done.stderr)
