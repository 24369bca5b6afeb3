"""Two tries at most, and the second only where the first did nothing and there is the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import stamina

from service.errors import CircuitOpen, RagError, StageUnavailable, Unreachable, UpstreamExhausted, UpstreamThrottled
from service.resilience import Deadline, tried
from service.resilience.retry import pause_s

REFUSED = Unreachable("retrieval", "refused")


@dataclass
class Backend:
    """Fails with each of `errors`, then answers."""

    errors: list[RagError]
    calls: int = 0

    async def call(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.fixture(autouse=True)
def retries_are_on() -> Iterator[None]:
    stamina.set_active(True)
    yield
    stamina.set_active(True)


async def ask(backend: Backend, total_s: float = 5.0, limit_s: float | None = None) -> str:
    return await tried(backend.call, Deadline(total_s), stage="retrieval", limit_s=limit_s)


async def test_a_connection_that_was_refused_is_tried_once_more() -> None:
    backend = Backend([REFUSED])
    assert (await ask(backend), backend.calls) == ("answer", 2)


async def test_there_is_no_third_try() -> None:
    backend = Backend([REFUSED, REFUSED, REFUSED])
    with pytest.raises(Unreachable):
        await ask(backend)
    assert backend.calls == 2


@pytest.mark.parametrize(
    "error",
    [
        StageUnavailable("generation", "answered 500"),
        CircuitOpen("generation", "left alone", retry_after_s=0.01),
        UpstreamExhausted("generation", "no credit", retry_after_s=0.01),
        UpstreamThrottled("generation", "for long", retry_after_s=30),
        UpstreamThrottled("generation", "who knows", retry_after_s=None),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_may_have_done_something_or_can_not_help_is_not_tried_again(error: RagError) -> None:
    backend = Backend([error])
    with pytest.raises(type(error)):
        await ask(backend)
    assert backend.calls == 1


async def test_the_pause_that_a_vendor_asks_for_is_kept() -> None:
    asked = UpstreamThrottled("generation", "slow down", retry_after_s=0.2)
    assert pause_s(asked, Deadline(5)) == 0.2
    backend = Backend([asked])
    assert (await ask(backend), backend.calls) == ("answer", 2)


async def test_a_stages_own_limit_bounds_the_pause_too() -> None:
    backend = Backend([UpstreamThrottled("retrieval", "slow down", retry_after_s=1.0)])
    with pytest.raises(UpstreamThrottled):
        await ask(backend, total_s=60, limit_s=1.0)
    assert backend.calls == 1
