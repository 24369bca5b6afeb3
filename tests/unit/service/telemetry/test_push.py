"""An edge's counts: sent when online, kept for a day when not, and never in a request's way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import boto3
import pytest
from botocore.stub import ANY, Stubber

from service.adapters.cloudwatch import CloudWatch
from service.rag.trace import Trace
from service.telemetry import Exchange
from service.telemetry.push import AT_ONCE, MOST_MINUTES, Minute, Push


class Wire:
    """A line to the cloud that can be cut."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.calls: list[list[Minute]] = []

    def write(self, minutes: Sequence[Minute]) -> None:
        if self.failure is not None:
            raise self.failure
        self.calls.append([*minutes])

    @property
    def arrived(self) -> list[float]:
        return [minute.at for call in self.calls for minute in call]


class Clock:
    """A wall clock that a test turns, back too."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def answered(served_by: Literal["edge", "cloud"] | None = "edge", status: int = 200, route: str = "/rag") -> Exchange:
    exchange = Exchange("r1", "POST", route=route, status=status)
    exchange.trace = Trace(served_by=served_by, stage_ms={"retrieval": 5.0})
    exchange.ended = exchange.started + 0.25
    return exchange


def opened() -> tuple[Push, Wire, Clock, list[float]]:
    wire, clock, sent = Wire(), Clock(), list[float]()
    return Push(wire, sent=sent.append, clock=clock), wire, clock, sent


async def test_a_minute_counts_answers_by_who_served_them() -> None:
    push, wire, _, sent = opened()
    for exchange in (answered(), answered("cloud"), answered("cloud", 503), answered(None), answered(route="/livez")):
        push.ended(exchange)
    await push.push()
    ((minute,),) = wire.calls
    counted = {"requests": 4, "errors": 1, "refused": 0, "degraded": 0, "answers": 3, "cloud_answers": 2}
    assert dict(minute.counts) == counted
    assert minute.latencies == {250.0: 4}
    assert sent == [minute.at]


async def test_a_quiet_minute_is_a_sign_of_life_all_the_same() -> None:
    push, wire, clock, _ = opened()
    await push.push()
    clock.now += 60
    await push.push()
    assert wire.arrived == [clock.now - 60, clock.now]


async def test_what_waited_offline_is_sent_oldest_first_and_once(caplog: pytest.LogCaptureFixture) -> None:
    push, wire, clock, _ = opened()
    wire.failure = OSError("network is unreachable")
    for _ in range(250):
        push.ended(answered())
        await push.push()
        clock.now += 60
    wire.failure = None
    await push.push()
    assert [len(call) for call in wire.calls] == [AT_ONCE] * 3 + [251 - 3 * AT_ONCE]
    assert wire.arrived == sorted(wire.arrived)
    assert len({*wire.arrived}) == 251
    assert caplog.text.count("can't be sent") == 1
    await push.push()
    assert len(wire.arrived) == 252


async def test_offline_for_days_the_oldest_minutes_go(caplog: pytest.LogCaptureFixture) -> None:
    push, wire, clock, _ = opened()
    wire.failure = OSError("down")
    for _ in range(MOST_MINUTES + 100):
        await push.push()
        clock.now += 60
    wire.failure = None
    await push.push()
    assert len(wire.arrived) == MOST_MINUTES
    assert wire.arrived[-1] == clock.now
    assert caplog.text.count("can't be sent") == 1


async def test_what_is_refused_for_good_is_dropped_and_blocks_nothing() -> None:
    push, wire, clock, _ = opened()
    wire.failure = ValueError("CloudWatch answered InvalidParameterValue")
    await push.push()
    wire.failure = None
    clock.now -= 86400  # a clock that is set back is no reason to stop
    await push.push()
    assert wire.arrived == [clock.now]


def cloudwatch(stub: Any, monkeypatch: pytest.MonkeyPatch) -> CloudWatch:
    writer = CloudWatch("rag-platform/dev", host="device", region="eu-north-1")
    monkeypatch.setattr(writer, "_open", lambda: stub.client)
    return writer


def test_cloudwatch_takes_what_is_sent_by_its_own_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stub holds every argument to botocore's model of the call."""
    client = boto3.client("cloudwatch", region_name="eu-north-1", aws_access_key_id="x", aws_secret_access_key="x")
    minute = Minute(at=1_800_000_000.0)
    minute.add(answered("cloud"))
    with Stubber(client) as stub:
        expected = {"Namespace": "rag-platform/dev", "MetricData": ANY}
        stub.add_response("put_metric_data", {}, expected)
        stub.add_client_error("put_metric_data", "AccessDenied")
        stub.add_client_error("put_metric_data", "InvalidParameterValue")
        writer = cloudwatch(stub, monkeypatch)
        writer.write([minute, Minute(at=1_800_000_060.0)])
        with pytest.raises(OSError, match="role needs cloudwatch:PutMetricData in rag-platform/dev"):
            writer.write([minute])
        with pytest.raises(ValueError, match="InvalidParameterValue"):
            writer.write([minute])


def test_only_the_sign_of_life_is_the_hosts_own() -> None:
    minute = Minute(at=1.0)
    minute.add(answered("cloud"))
    data = {each["MetricName"]: each for each in CloudWatch("n", host="device", region="x")._data(minute)}
    assert {name: len(each["Dimensions"]) for name, each in data.items()} == {
        "heartbeat": 2,
        "requests": 1,
        "errors": 1,
        "refused": 1,
        "degraded": 1,
        "answers": 1,
        "cloud_answers": 1,
        "total_latency_ms": 1,
    }
    assert (data["total_latency_ms"]["Values"], data["total_latency_ms"]["Counts"]) == ([250.0], [1])


def test_the_busiest_minutes_fit_into_calls_that_cloudwatch_takes() -> None:
    """At most 150 values in a metric, and 1,000 metrics in a call."""
    minute = Minute(at=1.0)
    for took_ms in (digits * 10**power for digits in range(10, 100) for power in range(5)):
        exchange = answered()
        exchange.ended = exchange.started + took_ms / 1000
        minute.add(exchange)
    assert len(minute.latencies) > 300
    data = [*CloudWatch("n", host="device", region="x")._data(minute)]
    latencies = [each for each in data if each["MetricName"] == "total_latency_ms"]
    assert max(len(each["Values"]) for each in latencies) <= 150
    assert sum(sum(each["Counts"]) for each in latencies) == 450
    assert len(data) * AT_ONCE <= 1000
