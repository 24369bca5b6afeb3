"""Who holds a lock: this process, and whether another one of this machine still lives."""

from __future__ import annotations

import getpass
import os
import secrets
import socket

import psutil

from opsctl.endpoint.journal import Holder, now

CLOCK_S = 1.0  # psutil's start times are rounded


def this_process() -> Holder:
    """The holder that this process would be."""
    me, host = psutil.Process(), socket.gethostname()
    return Holder(secrets.token_hex(8), f"{_user()}@{host}", host, me.pid, me.create_time(), now())


def is_gone(holder: Holder) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    if holder.host != socket.gethostname():
        return False
    try:
        found = psutil.Process(holder.pid)
        return found.status() == psutil.STATUS_ZOMBIE or abs(found.create_time() - holder.started) > CLOCK_S
    except psutil.NoSuchProcess:
        return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
