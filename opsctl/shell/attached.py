"""Start the program that connects the operator's terminal with a container."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsctl.errors import ToolMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Attached:
    """A program and what it is told.

    Attributes:
        words: its arguments; other users of the machine can read them, so no token is among them.
        environ: its environment beside the operator's; tokens are here.
        install: how to get the program where there is none.
    """

    program: str
    words: tuple[str, ...]
    install: str
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def attach(what: Attached, environ: Mapping[str, str]) -> int:
    """Run it with the operator's terminal; returns the command's own exit code.

    Raises:
        ToolMissing: there is no such program.
    """
    found = shutil.which(what.program, path=environ.get("PATH"))
    if found is None:
        raise ToolMissing(f"there is no {what.program} on PATH", next_step=what.install)
    with _ctrl_c_is_the_commands():
        return subprocess.run([found, *what.words], env={**environ, **what.environ}, check=False).returncode


@contextmanager
def _ctrl_c_is_the_commands() -> Iterator[None]:
    """Ctrl-C ends what runs in the container, not this process before it has heard how that ended."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
