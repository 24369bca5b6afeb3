"""Logs on stdout: one JSON object per line, or plain lines for people; both without secrets.

uvicorn's own logs and Python's warnings take the same way. The text of a question or of a document is never logged.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from service.errors import RagError
from service.telemetry.exchange import FIRST_SERVER_ERROR, PROBES
from service.telemetry.redaction import Redaction, secrets_of

if TYPE_CHECKING:
    from service.settings import Settings
    from service.telemetry.exchange import Exchange

access = logging.getLogger("service.access")

FIELDS = "fields"  # name of the record's attribute that holds what a line says besides its message


class JsonLines(logging.Formatter):
    """An event is one line, its traceback included."""

    def __init__(self, redact: Redaction) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """`time`, `level`, `logger`, `message`, then the fields of the event."""
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return self._redact(json.dumps(document, default=str))


class PlainLines(logging.Formatter):
    """For people; fields as name=value."""

    def __init__(self, redact: Redaction) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The line, and below it the traceback where there is one."""
        said = super().format(record)
        fields = [f"{name}={value}" for name, value in getattr(record, FIELDS, {}).items()]
        return self._redact(" ".join([said, *fields]))


def configure(settings: Settings) -> None:
    """Send every logger of the process to stdout; called once, by the process and never by the app."""
    redact = Redaction(secrets_of(settings))
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(redact) if settings.log_format == "json" else PlainLines(redact))
    # Clients log every request at INFO, with its address.
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("service").setLevel(logging.INFO)
    # A sink that is down is said once (see span_sinks) and counted; the SDK would say it with every batch.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)


class AccessLog:
    """A line per request; health probes only where DEBUG is on, since there are thousands a day."""

    def ended(self, exchange: Exchange) -> None:
        """Write it."""
        level = logging.DEBUG if exchange.route in PROBES else logging.INFO
        if not access.isEnabledFor(level):
            return
        access.log(level, "%s %s %d", exchange.method, exchange.route, exchange.status, extra={FIELDS: _line(exchange)})


def _line(exchange: Exchange) -> dict[str, Any]:
    trace = exchange.trace
    line: dict[str, Any] = {
        "request_id": exchange.request_id,
        "method": exchange.method,
        "route": exchange.route,
        "status": exchange.status,
        "duration_ms": round(exchange.duration_ms, 1),
    }
    if exchange.key:
        line["key"] = exchange.key
    if trace.ran:
        line |= {
            "cost_usd": None if trace.cost_usd is None else f"{trace.cost_usd:.6f}",
            "input_tokens": trace.usage.input_tokens,
            "output_tokens": trace.usage.output_tokens,
            "degraded": trace.degraded,
        }
    if trace.served_by is not None:
        line["served_by"] = trace.served_by
    if trace.cache is not None:
        line["cache"] = trace.cache
    if (cause := exchange.cause) is not None:
        line["error"] = cause
        # What is below 500 quotes the caller's input; what nobody foresaw has a line of its own.
        if exchange.status >= FIRST_SERVER_ERROR and isinstance(exchange.error, RagError):
            line["detail"] = exchange.error.detail
    return line
