"""Log lines: one JSON object each, and no secret in any."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.errors import BadRequest, StageUnavailable
from service.ports import Usage
from service.rag.spending import Charge
from service.settings import Settings
from service.telemetry import Exchange, logs
from service.telemetry.redaction import Redaction, secrets_of

PLANTED = {
    "openai_api_key": "planted-openai-key",
    "qdrant_api_key": "planted-qdrant-key",
    "mongo_url": "mongodb://rag:planted-mongo-word@db.example:27017/rag",
    "redis_url": "redis://:planted-redis-word@cache.example:6379/0",
    "fallback_api_key": 'planted-"quoted"-key',
    "opik_api_key": "planted-opik-key",
}
SETTINGS = Settings(
    vector_store="faiss",
    bundle_dir=Path("unused"),
    **{name: SecretStr(secret) for name, secret in PLANTED.items()},  # type: ignore[arg-type]
)


@pytest.fixture
def lines() -> Iterator[Any]:
    """Configures the process's logs as the service does; gives what was written so far, parsed."""
    root, service = logging.getLogger(), logging.getLogger("service")
    before = root.handlers[:], root.level, service.level
    out, sys.stdout = sys.stdout, io.StringIO()
    written = sys.stdout
    try:
        logs.configure(SETTINGS)
        yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    finally:
        sys.stdout = out
        root.handlers[:], root.level, service.level = before
        root.setLevel(before[1])
        service.setLevel(before[2])
        logging.captureWarnings(capture=False)


def finished(**known: Any) -> Exchange:
    exchange = Exchange("id-1", "POST", **({"route": "/rag", "status": 200} | known))
    exchange.end()
    return exchange


def test_an_exception_is_one_line_of_json(lines: Any) -> None:
    logging.getLogger("service.somewhere").error("it failed", exc_info=ValueError("broken\nin two lines"))
    (line,) = lines()
    assert (line["level"], line["logger"], line["message"]) == ("error", "service.somewhere", "it failed")
    assert line["exception"].endswith("ValueError: broken\nin two lines")
    assert line["time"].endswith("+00:00")


def test_a_request_is_one_line(lines: Any) -> None:
    exchange = finished(key="mobile")
    exchange.trace.stage_ms["generation"] = 12.0
    exchange.trace.charges.append(Charge(None, Usage(), Decimal("0.00012")))
    exchange.trace.served_by = "edge"
    logs.AccessLog().ended(exchange)
    (line,) = lines()
    assert line.pop("duration_ms") >= 0
    line.pop("time")
    assert line == {
        "level": "info",
        "logger": "service.access",
        "message": "POST /rag 200",
        "request_id": "id-1",
        "method": "POST",
        "route": "/rag",
        "status": 200,
        "key": "mobile",
        "cost_usd": "0.000120",
        "input_tokens": 0,
        "output_tokens": 0,
        "served_by": "edge",
        "degraded": [],
    }


@pytest.mark.parametrize("route", ["/livez", "/readyz", "/health"])
def test_health_probes_are_not_logged(route: str, lines: Any) -> None:
    logs.AccessLog().ended(finished(route=route))
    assert lines() == []


def test_a_failure_says_its_cause_and_a_refusal_repeats_no_input(lines: Any) -> None:
    logs.AccessLog().ended(finished(status=503, error=StageUnavailable("retrieval", "no answer")))
    logs.AccessLog().ended(finished(status=422, error=BadRequest("filters.my private note: Extra input")))
    failed, refused = lines()
    assert (failed["error"], failed["detail"]) == ("stage_unavailable", "retrieval: no answer")
    assert (refused["error"], "detail" in refused) == ("bad_request", False)


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        *((f"using {secret} now", secret) for secret in PLANTED.values()),
        ("connecting as rag, planted-mongo-word", "planted-mongo-word"),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("headers={'authorization': 'Basic cmFnOnJhZw=='}", "cmFnOnJhZw"),
        ('{"X-API-Key": "abcdef123456"}', "abcdef123456"),
        ("X-Api-Key=abcdef123456&x=1", "abcdef123456"),
        ("(b'x-api-key', b'abcdef123456')", "abcdef123456"),
        ("(b'authorization', b'Bearer abcdef123456')", "abcdef123456"),
        ("token bearer abcdef123456", "abcdef123456"),
        ("POST https://user:pass-word@host.example/path", "pass-word"),
        ("redis://:other-word@cache:6379", "other-word"),
        ("mongodb+srv://u:p%40ss@cluster/db", "p%40ss"),
        ("key sk-proj-abcdefghijklmnop is wrong", "sk-proj-abcdefghijklmnop"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ('{\\"password\\": \\"hunter22\\"}', "hunter22"),
        ("client_secret=abc.def.ghi", "abc.def.ghi"),
    ],
)
def test_a_secret_leaves_no_line(said: str, hidden: str, lines: Any) -> None:
    log = logging.getLogger("service.somewhere")
    log.warning("%s", said, extra={"fields": {"header": said}})
    log.error("failed", exc_info=RuntimeError(said))
    written = json.dumps(lines())
    assert hidden not in written
    assert json.dumps(hidden)[1:-1] not in written
    assert "***" in written


def test_ordinary_text_is_left_alone() -> None:
    said = "12 tokens: 5 in, 7 out; basic facts; https://example.org:8080/a?b=c@d; bearer of news"
    assert Redaction(secrets_of(SETTINGS))(said) == said


def test_plain_lines_are_for_people_and_as_silent() -> None:
    record = logging.LogRecord("service", logging.WARNING, "", 0, "key %s", ("planted-openai-key",), None)
    record.fields = {"status": 503}
    line = logs.PlainLines(Redaction(secrets_of(SETTINGS))).format(record)
    assert line.endswith("WARNING service: key *** status=503")
