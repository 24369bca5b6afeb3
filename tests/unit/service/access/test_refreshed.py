from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from service.access.refreshed import Refreshed, refreshed

SOON_S = 0.005
PATIENCE_S = 10.0


class Source:
    """Reads give what was put last; an exception is raised."""

    def __init__(self, value: object) -> None:
        self.value = value
        self.reads = 0

    async def read(self) -> object:
        self.reads += 1
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not happened():
            await asyncio.sleep(SOON_S)


async def test_a_new_value_arrives_by_itself() -> None:
    source = Source("old")
    async with refreshed(source.read, every_s=SOON_S, what="the value") as current:
        assert current.value == "old"
        source.value = "new"
        await until(lambda: current.value == "new")


async def test_the_last_good_value_holds_while_the_source_is_down(caplog: pytest.LogCaptureFixture) -> None:
    source = Source("good")
    caplog.set_level(logging.WARNING)
    async with refreshed(source.read, every_s=SOON_S, what="the value") as current:
        for broken in (OSError("down"), ValueError("half written"), KeyError("unforeseen")):
            source.value, source.reads = broken, 0
            await until(lambda: source.reads >= 2)
            assert current.value == "good"
        source.value = "better"
        await until(lambda: current.value == "better")
    assert "the value can't be read, the last good one holds: down" in caplog.text


async def test_a_source_that_is_down_from_the_start_is_its_readers_problem() -> None:
    with pytest.raises(OSError, match="down"):
        async with refreshed(Source(OSError("down")).read, every_s=SOON_S, what="the value"):
            pass


async def test_nothing_is_read_once_the_block_is_left() -> None:
    source = Source("value")
    async with refreshed(source.read, every_s=SOON_S, what="the value"):
        await until(lambda: source.reads >= 2)
    reads = source.reads
    await asyncio.sleep(10 * SOON_S)
    assert source.reads == reads


async def test_a_process_that_stood_still_reads_before_it_answers_and_one_that_did_not_never_waits() -> None:
    now, source = 1000.0, Source("revoked since")
    kept = Refreshed(source.read, "old", every_s=60, what="the value", clock=lambda: now)
    now += 100
    assert (await kept.current(), source.reads) == ("old", 0)
    now += 3600  # frozen for an hour; the timer of the background task was frozen with it
    assert await kept.current() == "revoked since"
    assert (await kept.current(), source.reads) == ("revoked since", 1)


async def test_a_source_that_is_down_is_asked_once_after_a_standstill_and_not_by_every_request() -> None:
    now, source = 1000.0, Source(OSError("down"))
    kept = Refreshed(source.read, "old", every_s=60, what="the value", clock=lambda: now)
    now += 3600
    assert [await kept.current() for _ in range(5)] == ["old"] * 5
    assert source.reads == 1
