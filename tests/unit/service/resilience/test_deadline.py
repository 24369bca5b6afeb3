from __future__ import annotations

import asyncio
import time

import pytest

from service.errors import DeadlineExceeded, StageUnavailable
from service.resilience import Deadline, Waits, tried, within


async def test_a_stage_limit_names_the_stage() -> None:
    with pytest.raises(StageUnavailable, match=r"retrieval: no answer within 0\.01 s"):
        await within(Deadline(5), lambda: asyncio.sleep(1), stage="retrieval", limit_s=0.01)


async def test_the_requests_deadline_wins_over_a_longer_stage_limit() -> None:
    with pytest.raises(DeadlineExceeded, match=r"0\.02 s are used up in stage retrieval"):
        await within(Deadline(0.02), lambda: asyncio.sleep(1), stage="retrieval", limit_s=5)


async def test_a_time_out_inside_the_work_is_not_taken_for_the_deadline() -> None:
    async def work() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await within(Deadline(5), work, stage="x")


async def test_nothing_is_begun_once_the_time_is_over() -> None:
    begun: list[int] = []

    async def paid() -> None:
        begun.append(1)

    over = Deadline(1, started=time.monotonic() - 2)
    for waiting in (
        within(over, paid, stage="generation"),
        tried(paid, over, stage="generation"),
        Waits(over, stage="generation", limit_s=5, first_s=5).wait(paid),
    ):
        with pytest.raises(DeadlineExceeded):
            await waiting
    assert begun == []


def test_the_remaining_time_never_goes_below_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    deadline = Deadline(1)
    monkeypatch.setattr("time.monotonic", lambda: deadline.started + 100)
    assert deadline.remaining_s() == 0.0
    assert deadline.cap(5) == 0.0


def test_a_jump_of_the_wall_clock_moves_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    deadline = Deadline(10)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert 9 < deadline.remaining_s() <= 10
