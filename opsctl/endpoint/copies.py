"""Copies of a sleeping endpoint's component: how many run, and waking the first one without waiting for a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from opsctl.endpoint.state import BUSY
from opsctl.errors import CloudRefused, TimedOut

if TYPE_CHECKING:
    from opsctl.endpoint.execute import Pace, Watch


@dataclass(frozen=True, slots=True)
class Copies:
    """A component's copies.

    Attributes:
        reason: why it failed, where it did.
    """

    status: str
    current: int
    desired: int
    reason: str | None = None

    @property
    def awake(self) -> bool:
        """Whether a request would be answered."""
        return self.current > 0 and self.status == "InService"


class Component(Protocol):
    """What waking asks of the cloud."""

    def copies(self) -> Copies:
        """As they are now."""

    def want(self, count: int) -> None:
        """Ask for so many copies."""


def wake(component: Component, watch: Watch, pace: Pace) -> bool:
    """Bring up a copy if none runs or is on its way; False where one was running already.

    Raises:
        CloudRefused: it failed; says why.
        TimedOut: it is still coming up.
    """
    found = component.copies()
    if found.awake:
        return False
    if found.desired == 0 and found.status not in BUSY:
        component.want(1)
    if not pace.wait:
        return True

    def look() -> Copies:
        now = component.copies()
        watch.waiting(f"component {now.status}, {now.current} of {now.desired} copies", pace.elapsed_s)
        return now

    polling = Retrying(
        stop=stop_after_delay(pace.left_s),
        wait=wait_fixed(pace.poll_s),
        retry=retry_if_result(lambda now: not now.awake and now.status != "Failed"),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    now = polling(look)
    if now.status == "Failed":
        raise CloudRefused(
            f"the copy can't start: {now.reason or 'no reason given'}", next_step="see `opsctl endpoint logs`"
        )
    if not now.awake:
        raise TimedOut(
            f"no copy runs yet after {pace.elapsed_s:.0f} s, the component is {now.status}",
            next_step="run it again: it goes on waiting; no GPU may be free in the region",
        )
    return True
