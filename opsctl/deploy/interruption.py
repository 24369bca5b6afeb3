"""An update that is broken off: what the engine's SDK says then, and what the next command says of it."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsctl.deploy.engine import Engine

CLOSED = "I/O operation on closed file"


def forgive_closed_pipes() -> None:
    """Keep the SDK's readers silent: on Ctrl-C their pipes are closed before they have ended, which is no fault."""
    threading.excepthook = _told_unless_closed
    warnings.filterwarnings("ignore", message="Error in event stream")


def _told_unless_closed(args: threading.ExceptHookArgs) -> None:
    if not (args.exc_type is ValueError and CLOSED in str(args.exc_value)):
        threading.__excepthook__(args)


def half_done(engine: Engine) -> str | None:
    """What an update that was killed may have left behind; None where every step was written down."""
    left = engine.half_done()
    if not left:
        return None
    return (
        f"an earlier update was killed while {', '.join(left)}: it is done again; what had been made is not in the "
        f"state, so look for a second one, then `pulumi refresh --clear-pending-creates --stack {engine.name}`"
    )
