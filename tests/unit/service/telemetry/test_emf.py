"""Metric lines for CloudWatch, held to the documented limits of the Embedded Metric Format."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from service.app import create_app
from service.errors import BadRequest, ClientGone, DeadlineExceeded, Overloaded, RagError, StageUnavailable
from service.parts import Parts
from service.ports import Usage
from service.rag.spending import Charge
from service.settings import Settings
from service.telemetry import Exchange
from service.telemetry.emf import MOST_VALUES, PERIOD_S, EmbeddedMetrics
from tests.fakes import FakeEmbedder, FakeGenerator, FakeStore

NAMES = {"type": "string", "minLength": 1, "maxLength": 1024}
# After the specification's prose and schema: metadata, directives, and the limits of both.
FORMAT = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "additionalProperties": False,
                        "properties": {
                            "Namespace": NAMES,
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "minItems": 1, "maxItems": 30, "items": NAMES},
                            },
                            "Metrics": {
                                "type": "array",
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "additionalProperties": False,
                                    "properties": {
                                        "Name": NAMES,
                                        "Unit": {"enum": ["Milliseconds", "Count", "None"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


def exchange(*, route: str = "/rag", status: int = 200, cost: Decimal | None = Decimal("0.001")) -> Exchange:
    made = Exchange("id", "POST", route=route, status=status)
    made.trace.stage_ms |= {"retrieval": 3.0, "generation": 40.0}
    made.trace.charges.append(Charge(None, Usage(), cost))
    made.end()
    return made


def metric_lines(written: list[str]) -> list[dict[str, Any]]:
    documents = [json.loads(line) for line in written]
    for line, document in zip(written, documents, strict=True):
        Draft202012Validator(FORMAT).validate(document)
        assert "\n" not in line
        assert len(line) < 256 * 1024
        for directive in document["_aws"]["CloudWatchMetrics"]:
            for target in {name for group in directive["Dimensions"] for name in group}:
                assert isinstance(document[target], str)
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                assert isinstance(values, int | float) or 1 <= len(values) <= MOST_VALUES
    return documents


def of_routes(written: list[str]) -> list[dict[str, Any]]:
    return [document for document in metric_lines(written) if "Route" in document]


def test_a_minute_of_a_route_is_one_line() -> None:
    written: list[str] = []
    now = [0.0]
    emf = EmbeddedMetrics("rag/prod", release="r1", write=written.append, clock=lambda: now[0])
    for status in (200, 503):
        emf.ended(exchange(status=status))
    emf.ended(exchange(route="/search", cost=None))
    assert written == []
    now[0] = PERIOD_S
    emf.ended(exchange())
    emf.flush()
    rag, search = of_routes(written)
    assert (rag["Route"], rag["requests"], rag["errors"], rag["release"]) == ("/rag", 3, 1, "r1")
    assert rag["generation_latency_ms"] == [40.0] * 3
    assert rag["query_cost_usd"] == [0.001] * 3
    assert (search["unpriced_queries"], "query_cost_usd" in search) == (1, False)
    units = {metric["Name"]: metric["Unit"] for metric in rag["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert (units["retrieval_latency_ms"], units["requests"]) == ("Milliseconds", "Count")


def test_a_busy_route_writes_a_line_per_hundred_requests() -> None:
    written: list[str] = []
    emf = EmbeddedMetrics("rag", release="r1", write=written.append, clock=lambda: 0.0)
    for _ in range(250):
        emf.ended(exchange())
    emf.flush()
    assert [document["requests"] for document in of_routes(written)] == [100, 100, 50]


def test_health_probes_are_no_requests_of_anybody() -> None:
    written: list[str] = []
    emf = EmbeddedMetrics("rag", release="r1", write=written.append)
    emf.ended(Exchange("id", "GET", route="/livez", status=200))
    emf.flush()
    assert of_routes(written) == []


def test_a_route_is_billed_for_three_metrics_and_the_service_for_all() -> None:
    written: list[str] = []
    emf = EmbeddedMetrics("rag", release="r1", write=written.append)
    emf.ended(exchange())
    emf.flush()
    (line,) = of_routes(written)
    whole, own = line["_aws"]["CloudWatchMetrics"]
    assert (whole["Dimensions"], own["Dimensions"]) == ([["Service"]], [["Service", "Route"]])
    assert {metric["Name"] for metric in own["Metrics"]} == {"requests", "errors", "total_latency_ms"}
    assert len(whole["Metrics"]) > 10


def test_a_process_says_once_a_minute_that_it_runs_and_how_full_it_is() -> None:
    written: list[str] = []
    now = [0.0]
    levels = {"concurrent_requests": 7.0, "openai_tokens_remaining": 1000.0}
    emf = EmbeddedMetrics("rag", release="r1", write=written.append, levels=lambda: levels, clock=lambda: now[0])
    emf.ended(exchange())
    now[0] = PERIOD_S  # a frozen process: no timer, only the next request
    emf.ended(exchange())
    (line,) = [document for document in metric_lines(written) if "processes" in document]
    assert (line["processes"], line["concurrent_requests"], line["openai_tokens_remaining"]) == (1, 7.0, 1000.0)
    assert "Route" not in line


@pytest.mark.parametrize(
    ("outcome", "failures", "limited"),
    [("ok", 0, 0), ("cut_off", 0, 0), ("timeout", 1, 0), ("upstream_throttled", 1, 1), ("upstream_exhausted", 1, 1)],
)
def test_calls_are_counted_by_dependency(outcome: str, failures: int, limited: int) -> None:
    written: list[str] = []
    emf = EmbeddedMetrics("rag", release="r1", write=written.append)
    emf.called("generator", outcome)
    emf.flush()
    (line,) = [document for document in metric_lines(written) if "Dependency" in document]
    counts = [line[f"dependency_{what}"] for what in ("calls", "failures", "limited")]
    assert (line["Dependency"], counts) == ("generator", [1, failures, limited])


@pytest.mark.parametrize(
    ("status", "error", "counted"),
    [
        (200, None, {}),
        (200, StageUnavailable("generation", "cut"), {"errors": 1}),  # a stream that broke
        (503, Overloaded("full"), {"errors": 1, "refused": 1}),
        (503, DeadlineExceeded("used up"), {"errors": 1, "timeouts": 1}),
        (422, BadRequest("no"), {"client_errors": 1}),
        (499, ClientGone("left"), {"client_errors": 1}),
    ],
)
def test_an_error_is_counted_by_whose_it_is(status: int, error: RagError | None, counted: dict[str, int]) -> None:
    written: list[str] = []
    emf = EmbeddedMetrics("rag", release="r1", write=written.append)
    failed = exchange(status=status)
    failed.error = error
    emf.ended(failed)
    emf.flush()
    (line,) = of_routes(written)
    names = ("errors", "client_errors", "timeouts", "refused")
    assert {name: line[name] for name in names if line[name]} == counted


def test_an_answer_of_the_other_side_is_a_fallback() -> None:
    written: list[str] = []
    emf = EmbeddedMetrics("rag", release="r1", write=written.append, served_by="edge")
    for side in ("edge", "cloud"):
        answered = exchange()
        answered.trace.served_by = side  # type: ignore[assignment]
        emf.ended(answered)
    emf.flush()
    assert [line["fallbacks"] for line in of_routes(written)] == [1]


async def test_the_app_writes_what_is_left_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(vector_store="faiss", bundle_dir=Path("unused"), metrics_port=0, emf_namespace="rag/dev")
    app = create_app(settings, Parts(FakeEmbedder(), FakeStore(), generator=FakeGenerator()))
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            await http.post("/rag", json={"query": "x"})
            await http.get("/nowhere/1")
        assert capsys.readouterr().out == ""
    routes = [document["Route"] for document in of_routes(capsys.readouterr().out.splitlines())]
    assert routes == ["/rag", "unmatched"]
