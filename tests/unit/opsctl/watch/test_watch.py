"""A live view of a real registry, read over HTTP as Prometheus reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Counter, start_http_server

from opsctl.watch.scrape import parse
from opsctl.watch.view import Span, rows
from service.telemetry import Exchange
from service.telemetry.metrics import Metrics, metrics_server
from tests.real_processes import free_port

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Ended

    Run = Callable[..., Ended]


@pytest.fixture
def metrics() -> Iterator[tuple[Metrics, str]]:
    made, port = Metrics(release="r", served_by="edge"), free_port()
    with metrics_server(made.registry, "127.0.0.1", port):
        yield made, f"http://127.0.0.1:{port}/metrics"


def answered(status: int = 200) -> Exchange:
    exchange = Exchange("id", "POST", route="/rag", status=status)
    exchange.trace.stage_ms |= {"retrieval": 3.0, "generation": 40.0}
    exchange.trace.served_by = "cloud"
    exchange.end()
    return exchange


def test_what_happened_since_the_last_reading_is_shown(
    metrics: tuple[Metrics, str], opsctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, url = metrics
    made.ended(answered())
    made.breaker("qdrant", "open")

    def ask(_: float) -> None:
        made.ended(answered())
        made.ended(answered(503))

    monkeypatch.setattr("opsctl.commands.watch.sleep", ask)
    groups = json.loads(opsctl("watch", "--url", url, "--output", "json").out)["groups"]
    assert groups["status"] == {"200": "1", "503": "1"}
    assert groups["served by"] == {"cloud": "2"}
    assert groups["mean time"]["generation"] == "40 ms"
    assert groups["error"] == {"http_503": "1"}
    assert groups["breaker"] == {"qdrant": "open"}
    table = opsctl("watch", "--url", url, "--times", "2").out
    assert table.count("in flight") == 2


def test_a_service_that_was_restarted_counts_from_zero() -> None:
    text = 'requests_total{route="/rag",status="200"}'
    old, new = parse(f"{text} 90\n", 0.0), parse(f"{text} 4\n", 60.0)
    assert ("requests", "a minute", "4.0") in rows(Span(old, new))


def test_nobody_there_or_somebody_else_is_one_clear_line(opsctl: Run) -> None:
    ended = opsctl("watch", "--url", f"http://127.0.0.1:{free_port()}/metrics")
    assert ended.code == 1
    assert "gives no metrics" in ended.err
    assert "make up" in ended.err
    registry, port = CollectorRegistry(), free_port()
    Counter("other", "of somebody else", registry=registry).inc()
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    try:
        ended = opsctl("watch", "--url", f"http://127.0.0.1:{port}/metrics")
        assert (ended.code, "something else" in ended.err) == (1, True)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
