"""The driver against real sockets: what it counts, when it sends, and what a stall does to its latencies."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from opsctl.errors import NotUsable
from opsctl.load.driver import Plan, drive
from opsctl.load.outcome import GOOD, Outcome
from opsctl.load.record import Record
from opsctl.load.request import Asking
from opsctl.load.schedule import steady
from opsctl.load.target import Key, Target
from tests.real_processes import Door, free_port, serve

Send = Callable[[dict[str, Any]], Awaitable[None]]
QUERIES = ("What is Faiss?", "What is Rich?")


def run(url: str, *, per_s: float = 20, seconds: float = 0.5, keys: tuple[Key, ...] = (), **more: Any) -> Record:
    asking = more.pop("asking", Asking(timeout_s=10))
    schedule = steady(per_s, seconds, arrivals="even")
    return asyncio.run(drive(Plan(Target(url, keys), schedule, QUERIES, asking, **more)))


def outcomes(record: Record) -> dict[Outcome, int]:
    return {outcome: seen.count for outcome, seen in record.total.latencies.items()}


async def start(send: Send, status: int, media_type: str = "application/json", **headers: str) -> None:
    pairs = {"content-type": media_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    encoded = [(name.encode(), value.encode()) for name, value in pairs.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


def answering(status: int = 200, body: Any = None, **headers: str) -> Any:
    async def app(scope: Any, receive: Any, send: Send) -> None:
        await start(send, status, **headers)
        await send({"type": "http.response.body", "body": json.dumps(body or {}).encode()})

    return app


def streaming(*events: tuple[str, Any]) -> Any:
    async def app(scope: Any, receive: Any, send: Send) -> None:
        await start(send, 200, "text/event-stream")
        for name, data in events:
            chunk = f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    return app


async def no_json(scope: Any, receive: Any, send: Send) -> None:
    await start(send, 200, "text/html")
    await send({"type": "http.response.body", "body": b"<html>"})


async def cut(scope: Any, receive: Any, send: Send) -> None:
    await start(send, 200, content_length="100")
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
    raise ConnectionResetError


async def hang(scope: Any, receive: Any, send: Send) -> None:
    await asyncio.sleep(5)


@pytest.mark.parametrize(
    ("app", "outcome"),
    [
        (answering(200, {"answer": "x", "degraded": []}), Outcome.OK),
        (answering(200, {"answer": "x", "degraded": ["cache"]}), Outcome.DEGRADED),
        (answering(429), Outcome.RATE_LIMITED),
        (answering(503), Outcome.OVERLOADED),
        (answering(503, {"stage": "generation"}), Outcome.UNAVAILABLE),
        (answering(500), Outcome.OTHER),
        (answering(302, location="/elsewhere"), Outcome.OTHER),
        (no_json, Outcome.OTHER),
        (cut, Outcome.CUT),
    ],
)
def test_every_ending_of_a_request_has_its_class(door: Door, app: Any, outcome: Outcome) -> None:
    with door.opened(app) as server:
        assert outcomes(run(server.url)) == {outcome: 10}


SOURCES, TOKEN = ("sources", []), ("token", {"text": "a"})


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ((SOURCES, TOKEN, ("done", {"degraded": []})), Outcome.OK),
        ((SOURCES, TOKEN, ("done", {"degraded": ["reranking"]})), Outcome.DEGRADED),
        ((SOURCES, TOKEN, ("error", {"status": 503})), Outcome.CUT),
        ((SOURCES, TOKEN), Outcome.CUT),
    ],
)
def test_a_stream_that_does_not_say_done_was_cut(door: Door, events: tuple[Any, ...], outcome: Outcome) -> None:
    with door.opened(streaming(*events)) as server:
        record = run(server.url, asking=Asking(stream=True))
    assert outcomes(record) == {outcome: 10}
    assert record.first_token.count == 10


def test_a_slow_reader_pauses_after_each_event(door: Door) -> None:
    with door.opened(streaming(SOURCES, TOKEN, TOKEN, ("done", {}))) as server:
        slow = run(server.url, asking=Asking(stream=True, pause_s=0.2))
    assert slow.total.of(GOOD).percentile_ms(1) > 590


def test_a_server_that_hangs_is_a_timeout_and_one_that_is_not_there_a_connection_error(door: Door) -> None:
    with door.opened(hang) as server:
        assert outcomes(run(server.url, asking=Asking(timeout_s=0.2))) == {Outcome.TIMEOUT: 10}
    assert outcomes(run(f"http://127.0.0.1:{free_port()}")) == {Outcome.CONNECT_ERROR: 10}


def test_one_stall_of_the_server_is_met_by_every_request_that_was_due_in_it(door: Door) -> None:
    asked = 0

    async def stalls_once(scope: Any, receive: Any, send: Send) -> None:
        nonlocal asked
        asked += 1
        if asked == 10:
            time.sleep(1)  # noqa: ASYNC251 - the whole server stands still
        await answering()(scope, receive, send)

    with door.opened(stalls_once) as server:
        record = run(server.url, per_s=50, seconds=2)
    # A driver that waits for its answers would have seen one slow request of 50. Here some 50 were due in that second,
    # and waited for 1 s down to 0: about a quarter of all for more than half a second.
    assert outcomes(record) == {Outcome.OK: 100}
    assert record.total.of(GOOD).percentile_ms(80) > 400
    assert record.total.of(GOOD).max_ms() > 950


def test_a_driver_that_stood_still_itself_counts_from_when_it_should_have_sent(door: Door) -> None:
    async def driven(url: str) -> Record:
        asyncio.get_running_loop().call_later(0.5, time.sleep, 1)
        schedule = steady(50, 2, arrivals="even")
        return await drive(Plan(Target(url), schedule, QUERIES))

    with door.opened(answering()) as server:
        record = asyncio.run(driven(server.url))
    assert record.lag.percentile_ms(80) > 400
    assert record.total.of(GOOD).percentile_ms(80) >= record.lag.percentile_ms(75)


def test_requests_start_while_earlier_ones_are_open_up_to_the_bound(door: Door) -> None:
    with door.opened(hang) as server:
        record = run(server.url, per_s=50, seconds=0.4, asking=Asking(timeout_s=2), max_open=5)
    assert outcomes(record) == {Outcome.TIMEOUT: 5, Outcome.UNSENT: 15}


def test_keys_are_sent_in_turn_and_counted_apart(door: Door) -> None:
    sent: Counter[str] = Counter()
    lock = threading.Lock()

    async def app(scope: Any, receive: Any, send: Send) -> None:
        with lock:
            sent[dict(scope["headers"])[b"authorization"].decode()] += 1
        await answering(429 if sent["Bearer s1"] > 2 else 200)(scope, receive, send)

    with door.opened(app) as server:
        record = run(server.url, keys=(Key("one", "s1"), Key("two", "s2")))
    assert sent == {"Bearer s1": 5, "Bearer s2": 5}
    assert {name: tally.count() for name, tally in record.keys.items()} == {"one": 5, "two": 5}
    assert "s1" not in repr(Key("one", "s1"))


@pytest.mark.parametrize("allowed", [None, "other.example.com", ""])
def test_another_machine_is_loaded_only_when_it_is_named_twice(allowed: str | None) -> None:
    with pytest.raises(NotUsable, match=r"--allow-host api\.example\.com"):
        Target("https://api.example.com", allowed_host=allowed)
    assert Target("https://api.example.com", allowed_host="api.example.com").url


def test_the_driver_alone_keeps_up_with_some_hundred_requests_per_second() -> None:
    with serve(answering()) as server:
        record = run(server.url, per_s=100, seconds=2)
    assert record.total.count() == 200
    assert record.total.count({Outcome.UNSENT}) == 0
