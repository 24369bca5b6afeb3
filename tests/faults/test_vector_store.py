"""F6 to F10: without retrieval there is no answer, and the caller learns so in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from starlette.responses import JSONResponse

from tests.fault_proxy import Down, Latency, LimitData, Timeout
from tests.faults.deployment import Cloud

ASKED = 3  # below what opens the breaker: each of them meets the fault itself
TOLD_S = 10.0  # 2.5 s on a quiet machine


@contextmanager
def internal_errors(cloud: Cloud) -> Iterator[None]:
    cloud.store.failure = JSONResponse({"status": {"error": "internal"}}, 500)
    yield
    cloud.store.failure = None


FAULTS = {
    "F6": lambda cloud: cloud.qdrant.suffering(Down()),
    "F7": lambda cloud: cloud.qdrant.suffering(Timeout()),
    "F8": lambda cloud: cloud.qdrant.suffering(Latency(5)),
    "F9": internal_errors,
    "F10": lambda cloud: cloud.qdrant.suffering(LimitData(200)),
}


def begun(number: str, cloud: Cloud) -> AbstractContextManager[None]:
    return FAULTS[number](cloud)


@pytest.mark.parametrize("number", [pytest.param(name, marks=pytest.mark.fault(name)) for name in FAULTS])
def test_the_caller_learns_which_stage_failed_and_the_next_one_is_answered(
    cloud: Cloud, number: str, figures: dict[str, float]
) -> None:
    with begun(number, cloud):
        replies = [cloud.ask() for _ in range(ASKED)]
    healed_s = cloud.recovered()
    figures |= {"told after s": max(reply.took_s for reply in replies), "healed s": healed_s}
    for reply in replies:
        assert (reply.status, reply.body.get("stage")) == (503, "retrieval"), reply.body
        assert reply.headers["content-type"] == "application/problem+json"
        assert int(reply.headers["retry-after"]) > 0
        assert reply.took_s < TOLD_S


def test_a_store_that_stays_down_is_left_alone_until_a_probe_finds_it_up(cloud: Cloud) -> None:
    with cloud.qdrant.suffering(Down()):
        replies = [cloud.ask(path="/search") for _ in range(8)]
    assert {reply.status for reply in replies} == {503}
    assert replies[-1].body["title"] == "Stage left alone after failures"
    assert cloud.ask(path="/search").status == 503  # up again, and not asked yet
    cloud.recovered()
