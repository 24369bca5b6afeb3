"""A job as a process of this machine: opsctl never imports the service."""

from __future__ import annotations

import subprocess
import sys
from os import defpath
from pathlib import Path
from typing import TYPE_CHECKING

from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

CORRECT = "correct that, then run the same command again"


def machine(home: str) -> dict[str, str]:
    """What every process needs; nothing else of the operator's environment reaches a job by itself."""
    return {"PATH": f"{Path(sys.executable).parent}:{defpath}", "HOME": home, "LANG": "C.UTF-8"}


def run_here(
    name: str, words: Sequence[str], environ: Mapping[str, str], talk: Console, *, if_refused: str = CORRECT
) -> None:
    """Run `service.jobs.NAME`, and say what it says as it comes.

    Args:
        name: of the job.
        words: its arguments.
        environ: all that it is told.
        talk: hears it, line by line.
        if_refused: what to do where it ends with another code than 0.

    Raises:
        CheckFailed: it ended with another code than 0; its last line says why.
    """
    last = ""
    with subprocess.Popen(
        [sys.executable, "-m", f"service.jobs.{name}", *words],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        for line in job.stderr or ():
            last = line.strip() or last
            talk.print(last)
    if job.returncode:
        raise CheckFailed(last or f"{name} ended with {job.returncode}", next_step=if_refused)
