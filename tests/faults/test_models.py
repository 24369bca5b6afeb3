"""F15 to F21 and F23: what a model does wrong is said honestly, or done without."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.contract.conftest import Library
from tests.fault_proxy import Bandwidth, Down, Latency, LimitData, Timeout
from tests.faults.deployment import PATIENCE_S, UNREADABLE, Asked, Cloud, Edge
from tests.real_processes import serve, service, wait_until
from tests.scripted_openai import ScriptedOpenAI

QUESTION = "How does the Analytical Engine weave patterns?"
# Above what the prompt's counts take of the same connection (0.5 KB each), below the 12 KB of 48 tokens.
CUT_AFTER_BYTES = 4000
LATE_S = 5.0  # beyond the deadline on a busy machine; 0.5 s on a quiet one


@dataclass
class Vendor(Asked):
    """A service whose model is behind an OpenAI API that a test scripts."""

    api: ScriptedOpenAI


@pytest.fixture(scope="module")
def vendor(library: Library) -> Iterator[Vendor]:
    api = ScriptedOpenAI()
    with serve(api.app()) as server:
        settings = {
            "RAG_VECTOR_STORE": "faiss",
            "RAG_BUNDLE_DIR": library.home,
            "RAG_SEARCH_TIMEOUT_S": 10,
            "RAG_GENERATOR": "openai",
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": f"{server.url}/v1",
        }
        with (
            service(settings) as running,
            httpx.Client(base_url=running.url, trust_env=False, timeout=PATIENCE_S) as http,
        ):
            yield Vendor(http, api)


@pytest.mark.fault("F15")
def test_a_model_that_is_down_is_named_and_search_still_answers(edge: Edge) -> None:
    with edge.model.suffering(Down()):
        reply, found = edge.ask(), edge.ask(path="/search")
    assert (reply.status, reply.body.get("stage")) == (503, "generation"), reply.body
    assert (found.status, len(found.body["results"])) == (200, 3)
    edge.recovered(times=1)


@pytest.mark.fault("F16")
def test_retry_after_is_kept_where_there_is_time_and_passed_on_where_there_is_not(vendor: Vendor) -> None:
    answers = {}
    for wait_s in (1, 17):
        vendor.api.calls, vendor.api.refusal = 0, (429, {"retry-after": str(wait_s)})
        reply = vendor.ask()
        answers[wait_s] = (reply.status, reply.headers["retry-after"], reply.body["title"], vendor.api.calls)
    vendor.api.refusal = None
    assert answers == {
        1: (503, "1", "Upstream rate limit", 2),
        17: (503, "17", "Upstream rate limit", 1),
    }
    assert vendor.ask().status == 200


@pytest.mark.fault("F17")
def test_a_model_that_answers_503_is_asked_once(vendor: Vendor) -> None:
    vendor.api.calls, vendor.api.refusal = 0, (503, {})
    reply = vendor.ask()
    vendor.api.refusal = None
    assert (reply.status, reply.body["stage"], vendor.api.calls) == (503, "generation", 1)
    assert vendor.ask().status == 200


@pytest.mark.fault("F18")
def test_a_stream_that_is_cut_ends_with_an_error_event(edge: Edge) -> None:
    with edge.model.suffering(LimitData(CUT_AFTER_BYTES)):
        events = [(name, data) for _, name, data in edge.streamed(QUESTION)]
    assert [name for name, _ in events][:2] == ["sources", "token"]
    assert (events[-1][0], events[-1][1]["stage"]) == ("error", "generation")


@pytest.mark.fault("F19")
def test_a_drip_ends_at_the_deadline_and_frees_the_model(edge: Edge, figures: dict[str, float]) -> None:
    began = time.monotonic()

    def freed() -> list[float]:
        """When connections were closed about the deadline or later; those that count tokens close before."""
        since = [closed - began - edge.deadline_s for closed in edge.model.closed]
        return [seconds for seconds in since if seconds > -0.5]

    with edge.model.suffering(Bandwidth(bytes_per_s=800)):
        told_s, name, problem = edge.streamed(QUESTION)[-1]
        wait_until(lambda: bool(freed()), within_s=LATE_S, what="the model's connection closed")
    figures |= {"told after the deadline s": told_s - edge.deadline_s, "freed after the deadline s": min(freed())}
    assert (name, problem["title"]) == ("error", "Deadline exceeded")
    assert min(freed()) < LATE_S
    wait_until(lambda: not edge.decoding(), within_s=LATE_S, what="llama.cpp stopped")


@pytest.mark.fault("F20")
def test_without_a_query_model_the_question_itself_is_searched(cloud: Cloud) -> None:
    with cloud.query_model.suffering(Down()):
        reply = cloud.ask()
    assert (reply.status, sorted(reply.body["degraded"])) == (200, ["query_expansion", "self_query"])
    assert reply.body["sources"]
    cloud.recovered()


@pytest.mark.fault("F21")
def test_without_a_reranking_model_retrievals_order_stands(cloud: Cloud) -> None:
    reply = cloud.ask(f"{QUESTION} {UNREADABLE}")
    assert (reply.status, reply.body["degraded"]) == (200, ["reranking"])
    assert len(reply.body["sources"]) == 3
    assert cloud.ask().body["degraded"] == []


@pytest.mark.fault("F23")
def test_two_faults_at_once_stay_within_the_deadline(cloud: Cloud, figures: dict[str, float]) -> None:
    with cloud.redis.suffering(Timeout()), cloud.generator.suffering(Latency(1.0)):
        reply = cloud.ask()
    figures["answered after s"] = reply.took_s
    assert (reply.status, reply.body["degraded"]) == (200, ["cache"])
    assert reply.took_s < 25
    cloud.recovered()
