"""One timer for all waits of a stage, and a cancellation that is never mistaken for another's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from service.errors import DeadlineExceeded, StageUnavailable
from service.resilience import Deadline, Waits

NEVER = 60.0


def waits(*, total_s: float = NEVER, limit_s: float = NEVER, first_s: float = NEVER) -> Waits:
    return Waits(Deadline(total_s), stage="generation", limit_s=limit_s, first_s=first_s)


def value(after_s: float = 0.0) -> Callable[[], Awaitable[int]]:
    return lambda: asyncio.sleep(after_s, 1)


async def test_a_first_piece_that_does_not_come_names_the_stage_and_its_limit() -> None:
    with pytest.raises(StageUnavailable, match=r"generation: no answer within 0\.02 s"):
        await waits(first_s=0.02).wait(value(NEVER))


async def test_once_the_first_piece_is_there_only_the_whole_is_limited() -> None:
    limits = waits(first_s=0.05)
    assert await limits.wait(value()) == 1
    limits.begun()
    assert await limits.wait(value(0.15)) == 1
    limits.close()


async def test_many_short_waits_end_together_at_the_limit_of_the_whole() -> None:
    limits, taken = waits(limit_s=0.1), []

    async def stream() -> None:
        while True:
            taken.append(await limits.wait(value(0.01)))

    with pytest.raises(StageUnavailable, match=r"no answer within 0\.1 s"):
        await stream()
    assert len(taken) > 1


async def test_the_requests_deadline_ends_them_sooner() -> None:
    with pytest.raises(DeadlineExceeded, match=r"0\.02 s are used up in stage generation"):
        await waits(total_s=0.02).wait(value(NEVER))


async def test_time_that_ran_out_between_two_waits_is_told_by_the_next() -> None:
    limits = waits(limit_s=0.01)
    await asyncio.sleep(0.05)
    with pytest.raises(StageUnavailable):
        await limits.wait(value())


async def test_the_end_of_the_time_leaves_no_cancellation_behind_in_the_task() -> None:
    with pytest.raises(StageUnavailable):
        await waits(limit_s=0.01).wait(value(NEVER))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    async with asyncio.timeout(NEVER):
        assert await value(0.01)() == 1


async def test_somebody_elses_cancellation_goes_through() -> None:
    limits = waits()
    waiting = asyncio.create_task(limits.wait(value(NEVER)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    limits.close()


async def test_a_cancellation_by_both_at_once_is_the_other_ones() -> None:
    limits = waits(limit_s=0.01)
    waiting = asyncio.create_task(limits.wait(value(NEVER)))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.01, waiting.cancel)
    with pytest.raises((asyncio.CancelledError, StageUnavailable)) as raised:
        await waiting
    assert waiting.cancelling() == (1 if raised.type is asyncio.CancelledError else 0)


async def test_waits_of_different_tasks_share_the_limit() -> None:
    limits = waits(limit_s=0.05)
    assert await asyncio.create_task(limits.wait(value(0.01))) == 1
    with pytest.raises(StageUnavailable):
        await asyncio.create_task(limits.wait(value(NEVER)))
