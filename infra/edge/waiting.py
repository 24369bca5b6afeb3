"""Waiting for a condition, always with a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 0.1


def until(holds: Callable[[], bool], limit_s: float) -> bool:
    """Ask `holds` again and again; whether it came true within `limit_s`. What it raises ends the wait."""
    poll = Retrying(
        retry=retry_if_result(lambda true: not true), wait=wait_fixed(POLL_S), stop=stop_after_delay(limit_s)
    )
    try:
        poll(holds)
    except RetryError:
        return False
    return True
