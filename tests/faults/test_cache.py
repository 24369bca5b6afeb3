"""F1 to F5: whatever happens to Redis costs a little time, never an answer."""

from __future__ import annotations

import statistics

import pytest

from tests.fault_proxy import Down, Garbage, Latency, ResetPeer, Timeout, Toxic
from tests.faults.deployment import Cloud, Reply

UNTIL_OPEN = 5
SAMPLES = 10
HEALS_S = 20.0  # 10 s on a quiet machine
BUSY_MS = 2000.0  # the bound on a busy one; what was measured is in the report


def p50(replies: list[Reply]) -> float:
    return statistics.median(reply.outside_ms for reply in replies)


def p95(replies: list[Reply]) -> float:
    return statistics.quantiles([reply.outside_ms for reply in replies], n=20)[-1]


@pytest.mark.parametrize(
    "toxic",
    [
        pytest.param(Down(), marks=pytest.mark.fault("F1"), id="down"),
        pytest.param(Timeout(), marks=pytest.mark.fault("F2"), id="hung"),
        pytest.param(Latency(0.5), marks=pytest.mark.fault("F3"), id="slow"),
        pytest.param(ResetPeer(), marks=pytest.mark.fault("F4"), id="reset"),
        pytest.param(Garbage(), marks=pytest.mark.fault("F5"), id="garbage"),
    ],
)
def test_an_answer_comes_without_the_cache_and_with_it_again_later(
    cloud: Cloud, toxic: Toxic, figures: dict[str, float]
) -> None:
    before = [cloud.ask() for _ in range(SAMPLES)]
    with cloud.redis.suffering(toxic):
        failing = [cloud.ask() for _ in range(UNTIL_OPEN)]
        left_alone = [cloud.ask() for _ in range(SAMPLES)]
    healed_s = cloud.recovered()
    figures |= {
        "added p50 ms": p50(failing) - p50(before),
        "added p95 ms": p95(failing) - p95(before),
        "added p50 ms, breaker open": p50(left_alone) - p50(before),
        "added p95 ms, breaker open": p95(left_alone) - p95(before),
        "healed s": healed_s,
    }
    assert [(reply.status, reply.body["degraded"]) for reply in failing + left_alone] == [(200, ["cache"])] * (
        UNTIL_OPEN + SAMPLES
    )
    assert p95(failing + left_alone) - p95(before) < BUSY_MS
    assert healed_s < HEALS_S
