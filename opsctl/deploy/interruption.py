"""An update that is broken off: who ends first, and what the next command says of it."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsctl.deploy.engine import Engine

STDERR = 2
HEARD = b"\nopsctl: the engine ends the step that it is at; Ctrl-C again cuts it off\n"


@contextmanager
def engine_ends_first() -> Iterator[None]:
    """Raise Ctrl-C once the engine has ended: a terminal sends it to both, and whoever goes first leaves a lock behind.

    Raises:
        KeyboardInterrupt: it was pressed meanwhile.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = False

    def heard(*_: object) -> None:
        nonlocal pressed
        pressed = True
        os.write(STDERR, HEARD)  # not by sys.stderr: it may be what is being written to at this moment

    signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            raise KeyboardInterrupt


def half_done(engine: Engine) -> str | None:
    """What an update that was killed may have left behind; None where every step was written down."""
    left = engine.half_done()
    if not left:
        return None
    return (
        f"an earlier update was killed while {', '.join(left)}: it is done again; what had been made is not in the "
        f"state, so look for a second one, then `pulumi refresh --clear-pending-creates --stack {engine.name}`"
    )
