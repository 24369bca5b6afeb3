"""Pauses Python's cycle collector while classes are built.

Importing pulumi_aws makes some millions of objects that stay; the collector walks them again and again and takes a
third of the CPU time. A program that runs for seconds has no use for it.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def paused() -> Iterator[None]:
    """No collections inside; leaves the collector as it was."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
