"""One command of the Pulumi CLI on a stack: what it prints, or why it refused. A value that is given goes by stdin."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from opsctl.errors import CloudRefused, StackNotFound, TimedOut
from opsctl.project import engine_environment, find_pulumi

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opsctl.project import Project

LIMIT_S = 60.0
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def ask_pulumi(project: Project, stack: str, environ: Mapping[str, str], *words: str, given: str | None = None) -> str:
    """What `pulumi WORDS --stack STACK` prints; `given` is its stdin, where no process list shows it.

    Raises:
        StackNotFound, ToolMissing, CloudRefused, TimedOut
    """
    command = [str(find_pulumi(project, environ)), *words, "--stack", stack, "--non-interactive"]
    what = f"`pulumi {' '.join(words[:2])}`"
    try:
        done = subprocess.run(
            command,
            cwd=project.root,
            env=engine_environment(project, stack, environ),
            input=given or "",
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise TimedOut(
            f"{what} gave no answer within {LIMIT_S:g} s",
            next_step="check that the backend can be reached: `pulumi whoami -v`",
        ) from exc
    if done.returncode != 0:
        raise _translated(stack, what, done.stderr)
    return done.stdout


def up_command(stack: str) -> str:
    """What brings `stack` up."""
    return "`make up`" if stack == "local" else f"`pulumi up --stack {stack}`"


def _translated(stack: str, what: str, stderr: str) -> StackNotFound | CloudRefused:
    reason = " ".join(stderr.removeprefix("error:").split()) or "no reason given"
    if "no stack named" in reason:
        return StackNotFound(
            f"there is no stack '{stack}'", next_step=f"see `pulumi stack ls`, or create it: {up_command(stack)}"
        )
    return CloudRefused(
        f"{what} on stack '{stack}' failed: {reason}", next_step="check `pulumi whoami -v` and the passphrase"
    )


def version(program: Path) -> tuple[int, ...]:
    """What `pulumi version` says.

    Raises:
        CloudRefused: it says nothing of the kind.
    """
    said = subprocess.run([program, "version"], capture_output=True, text=True, timeout=LIMIT_S, check=False).stdout
    found = VERSION.search(said)
    if found is None:
        raise CloudRefused(f"{program} version prints no version", next_step="`make tools`")
    return tuple(int(part) for part in found.groups())
