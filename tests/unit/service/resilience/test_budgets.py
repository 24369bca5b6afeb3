"""The table of docs/operations.md: what must be below what, or something is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.adapters.redis_client import POOL_WAIT_S
from service.resilience.budgets import (
    BALANCER_IDLE_S,
    CACHE_S,
    CACHE_WAITS,
    EMBED_S,
    FIRST_TOKEN_S,
    GATEWAY_S,
    GENERATION_S,
    KEEP_ALIVE_S,
    LINGER_S,
    LOOKUP_S,
    LOOKUP_TRIES,
    PRE_STOP_S,
    STOP_S,
    GenerationBudget,
    cache_s,
    lookup_s,
)
from service.settings import Settings
from service.telemetry.traces import SHUTDOWN_S

SET = Settings(vector_store="faiss", bundle_dir=Path("unused"))


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        pytest.param(SET.deadline_s, GATEWAY_S, id="a gateway gives up later than the request"),
        pytest.param(GATEWAY_S, BALANCER_IDLE_S, id="a load balancer waits longer than the slowest answer"),
        pytest.param(BALANCER_IDLE_S, KEEP_ALIVE_S, id="the load balancer closes idle connections, not the service"),
        pytest.param(SET.deadline_s, SET.graceful_s - LINGER_S, id="a request that comes last is drained whole"),
        pytest.param(SET.graceful_s, STOP_S, id="the drain ends before SIGKILL"),
        pytest.param(PRE_STOP_S + SET.graceful_s, STOP_S, id="and after a pod's preStop too"),
        pytest.param(PRE_STOP_S + SET.graceful_s + SHUTDOWN_S, STOP_S, id="what tracing sends at the end included"),
        pytest.param(FIRST_TOKEN_S, GENERATION_S, id="the first token comes before the last"),
        pytest.param(GENERATION_S, SET.deadline_s, id="the model leaves time for an error"),
        pytest.param(SET.mongo_timeout_s, LOOKUP_S, id="the driver gives up before the stage"),
        pytest.param(POOL_WAIT_S + CACHE_WAITS * SET.redis_timeout_s, CACHE_S, id="Redis gives up before the stage"),
        pytest.param(
            SET.query_model_timeout_s
            + LOOKUP_S
            + EMBED_S
            + SET.search_timeout_s
            + SET.rerank_timeout_s
            + FIRST_TOKEN_S,
            SET.deadline_s,
            id="every stage at its limit still leaves time to generate",
        ),
    ],
)
def test_each_budget_fits_into_the_next(lower: float, upper: float) -> None:
    assert lower < upper


def test_an_edge_decodes_one_answer_at_a_time_so_only_the_deadline_limits_it() -> None:
    edge = SET.model_copy(update={"generator": "llamacpp", "deadline_s": 120.0})
    assert GenerationBudget.of_generator(edge) == GenerationBudget(120, 120)
    assert GenerationBudget.of_vendor(edge) == GenerationBudget(8, 20)
    assert GenerationBudget.of_generator(SET.model_copy(update={"first_token_timeout_s": 3.0})).first_token_s == 3


def test_a_backend_that_may_take_its_time_is_waited_for() -> None:
    patient = SET.model_copy(update={"redis_timeout_s": 5.0, "mongo_timeout_s": 5.0})
    assert (cache_s(SET), cache_s(patient)) == (CACHE_S, CACHE_WAITS * 5.0)
    assert (lookup_s(SET), lookup_s(patient)) == (LOOKUP_S, LOOKUP_TRIES * 5.0)
