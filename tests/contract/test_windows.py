"""Sliding windows: what one process counts, what all of them count in Redis, and what holds while Redis is away."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from service.access.caller import Caller, Limits
from service.access.spend import Hold, Spending
from service.access.windows import BUCKETS, LocalWindows, SharedWindows, Window, Windows
from service.adapters.redis_windows import PREFIX, RedisWindows
from service.errors import LimitExceeded
from service.resilience import Breaker
from tests.real_processes import Running, redis_server

PATIENCE_S = 10.0


def window(limit: int, *, span_s: float = 3600.0) -> Window:
    return Window(uuid.uuid4().hex, span_s, limit)


def shared(port: int, *, timeout_s: float = 2.0) -> RedisWindows:
    """A patient one: what these tests share their cores with may stop them for longer than the service would wait."""
    return RedisWindows.open(SecretStr(f"redis://127.0.0.1:{port}/0"), connections=5, timeout_s=timeout_s)


class WindowsContract:
    """What every adapter keeps."""

    async def test_what_fits_is_taken_and_no_more(self, windows: Windows) -> None:
        mine = window(10)
        assert [(await windows.take(mine, amount)).fits for amount in (4, 4, 4, 2, 1)] == [
            True, True, False, True, False,
        ]  # fmt: skip

    async def test_a_refusal_says_when_it_will_fit(self, windows: Windows) -> None:
        mine = window(1)
        await windows.take(mine, 1)
        refused = await windows.take(mine, 1)
        assert 3500 < refused.wait_s <= 3600 + 60

    async def test_more_than_the_limit_never_fits_and_still_says_a_time(self, windows: Windows) -> None:
        refused = await windows.take(window(5), 6)
        assert not refused.fits
        assert 0 < refused.wait_s <= 3600 + 60

    async def test_keys_do_not_share(self, windows: Windows) -> None:
        for mine in (window(1), window(1)):
            assert (await windows.take(mine, 1)).fits

    async def test_of_many_at_once_exactly_the_limit_gets_through(self, windows: Windows) -> None:
        mine = window(7)
        taken = await asyncio.gather(*(windows.take(mine, 1) for _ in range(50)))
        assert sum(one.fits for one in taken) == 7

    async def test_a_correction_gives_back_or_takes_more(self, windows: Windows) -> None:
        mine = window(10)
        taken = await windows.take(mine, 10)
        await taken.by.correct(mine, taken.bucket, -6)
        assert (await windows.take(mine, 6)).fits
        await taken.by.correct(mine, taken.bucket, 5)
        assert not (await windows.take(mine, 1)).fits

    async def test_a_correction_of_what_is_forgotten_changes_nothing(self, windows: Windows) -> None:
        mine = window(10)
        taken = await windows.take(mine, 1)
        await taken.by.correct(mine, taken.bucket - 2 * BUCKETS, -100)
        assert not (await windows.take(mine, 10)).fits

    async def test_nano_dollars_of_a_whole_budget_are_counted_exactly(self, windows: Windows) -> None:
        mine = window(1_000_000 * 10**9)
        assert (await windows.take(mine, 1_000_000 * 10**9 - 1)).fits
        assert (await windows.take(mine, 1)).fits
        assert not (await windows.take(mine, 1)).fits


class TestRedis(WindowsContract):
    @pytest.fixture
    async def windows(self, redis: Running) -> AsyncIterator[Windows]:
        async with aclosing(shared(redis.port)) as adapter:
            yield adapter

    async def test_processes_share_a_limit(self, redis: Running) -> None:
        mine = window(3)
        async with aclosing(shared(redis.port)) as one, aclosing(shared(redis.port)) as other:
            taken = [(await each.take(mine, 1)).fits for each in (one, other, one, other)]
        assert taken == [True, True, True, False]

    async def test_processes_share_an_account_and_what_one_gives_back_the_other_may_spend(self, redis: Running) -> None:
        caller = Caller(uuid.uuid4().hex, Limits(usd_per_hour=Decimal("0.005")))
        async with aclosing(shared(redis.port)) as one, aclosing(shared(redis.port)) as other:
            books = [Spending(windows, Limits()) for windows in (one, other)]
            accounts = [book.account(caller) for book in books]
            asked = [account.reserve(Decimal("0.001")) for account in accounts * 5 if account is not None]
            ended = await asyncio.gather(*asked, return_exceptions=True)
            held = [hold for hold in ended if isinstance(hold, Hold)]
            assert len(held) == 5
            held[0].settle(Decimal("0.0002"))
            for book in books:
                await book.aclose()
            assert accounts[1] is not None
            await accounts[1].reserve(Decimal("0.0008"))
            with pytest.raises(LimitExceeded):
                await accounts[1].reserve(Decimal("0.0000001"))

    async def test_nothing_is_left_of_a_window_that_is_over(self, redis: Running) -> None:
        mine = window(3)
        async with aclosing(shared(redis.port)) as windows, Redis(port=redis.port) as client:
            await windows.take(mine, 1)
            left_ms = await client.pttl(PREFIX + mine.key)
        assert 3600_000 < left_ms <= 3600_000 + 2 * 60_000

    async def test_what_was_taken_frees_itself_in_the_servers_time(self, redis: Running) -> None:
        mine = window(1, span_s=2.0)
        async with aclosing(shared(redis.port)) as windows:
            assert (await windows.take(mine, 1)).fits
            wait_s = (await windows.take(mine, 1)).wait_s
            await asyncio.sleep(wait_s + 0.01)
            assert (await windows.take(mine, 1)).fits


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestLocal(WindowsContract):
    @pytest.fixture
    def windows(self) -> Windows:
        return LocalWindows()

    async def test_at_no_time_does_more_than_the_limit_fall_into_the_span(self) -> None:
        clock, mine = Clock(), window(10, span_s=60)
        windows, passed = LocalWindows(clock), []
        for _ in range(2000):
            if (await windows.take(mine, 1)).fits:
                passed.append(clock.now)
            clock.now += 0.37
        busiest = max(sum(start <= at <= start + 60 for at in passed) for start in passed)
        assert busiest <= 10
        assert len(passed) > 0.9 * 10 * 2000 * 0.37 / 61

    @pytest.mark.parametrize("now", [0.0, 59.0, 10_000.0, 1e9])
    async def test_how_long_the_machine_has_been_up_changes_nothing(self, now: float) -> None:
        clock = Clock()
        clock.now = now
        refused = await LocalWindows(clock).take(window(5), 6)
        assert 3600 < refused.wait_s <= 3600 + 60

    async def test_the_time_that_a_refusal_names_is_right(self) -> None:
        clock, mine = Clock(), window(3, span_s=60)
        windows = LocalWindows(clock)
        for _ in range(3):
            await windows.take(mine, 1)
            clock.now += 5
        wait_s = (await windows.take(mine, 2)).wait_s
        clock.now += wait_s - 0.5
        assert not (await windows.take(mine, 2)).fits
        clock.now += 0.51
        assert (await windows.take(mine, 2)).fits


async def test_while_redis_is_away_each_process_holds_the_limit_alone() -> None:
    mine = window(2)
    with redis_server() as server:
        async with aclosing(shared(server.port)) as inner:
            breaker = Breaker("redis-limits", stage="limits", failures=1, probe_s=0.01)
            one, other = (SharedWindows(inner, LocalWindows(), breaker) for _ in range(2))
            assert (await one.take(mine, 1)).by is inner
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            assert [(await one.take(mine, 1)).fits for _ in range(4)] == [True, True, False, False]
            assert [(await other.take(mine, 1)).fits for _ in range(3)] == [True, True, False]
            assert breaker.state == "open"


async def test_a_redis_that_hangs_is_left_alone_and_shared_again_once_it_answers() -> None:
    mine = window(10**6)
    with redis_server() as server:
        async with aclosing(shared(server.port, timeout_s=0.2)) as inner:
            breaker = Breaker("redis-limits", stage="limits", failures=3, probe_s=0.05)
            windows = SharedWindows(inner, LocalWindows(), breaker)
            async with asyncio.timeout(PATIENCE_S):
                while (await windows.take(mine, 1)).by is not inner:
                    pass
            server.process.send_signal(signal.SIGSTOP)
            try:
                counted = [(await windows.take(mine, 1)).by for _ in range(3)]
                assert inner not in counted
                assert breaker.state == "open"
            finally:
                server.process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(PATIENCE_S):
                while (await windows.take(mine, 1)).by is not inner:
                    await asyncio.sleep(0.01)
            assert breaker.state == "closed"
