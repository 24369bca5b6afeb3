"""Where spans go: bounded queues that an exporter empties in its own thread, and that count what they lose."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from service.settings import Settings

log = logging.getLogger(__name__)

Dropped = Callable[[str, int], None]

MOST_QUEUED = 2048
BATCH = 512
PERIOD_MS = 1000
EXPORT_S = 5.0  # per batch, the exporter's own retries included


class CountingExporter(SpanExporter):
    """Counts spans that were not delivered, and says once that a sink is down and once that it is back."""

    def __init__(self, inner: SpanExporter, *, name: str, dropped: Dropped) -> None:
        self._inner = inner
        self._name = name
        self._dropped = dropped
        self._down = False
        self.handled = 0  # written by the exporting thread only

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver, or drop: what a sink did not take is not offered again."""
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            self.handled += len(spans)
            delivered = result is SpanExportResult.SUCCESS
            if not delivered:
                self._dropped("not_delivered", len(spans))
                if not self._down:
                    log.warning("%s takes no spans: they are dropped, and counted as spans_dropped", self._name)
            elif self._down:
                log.warning("%s takes spans again", self._name)
            self._down = not delivered
        return result

    def shutdown(self) -> None:
        """Break off what is being sent."""
        self._inner.shutdown()


class BoundedProcessor(BatchSpanProcessor):
    """Drops the newest span where the queue is full; the SDK would drop the oldest, and let nobody count it."""

    def __init__(self, exporter: CountingExporter, dropped: Dropped) -> None:
        # Twice what is let in, so that the SDK's own bound is never met.
        super().__init__(exporter, 2 * MOST_QUEUED, PERIOD_MS, BATCH)
        self._counting = exporter
        self._dropped_one = dropped
        self._accepted = 0  # written by the event loop's thread only

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span; never waits."""
        if self._accepted - self._counting.handled >= MOST_QUEUED:
            self._dropped_one("queue_full", 1)
            return
        self._accepted += 1
        super().on_end(span)


def processors(settings: Settings, dropped: Dropped) -> list[BoundedProcessor]:
    """One per configured sink: a collector, and Opik through the OTLP endpoint that it has."""
    exporters: list[tuple[str, OTLPSpanExporter]] = []
    if settings.otlp_endpoint is not None:
        endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
        exporters.append(("the OTLP collector", OTLPSpanExporter(endpoint, timeout=EXPORT_S)))
    if settings.opik_api_key is not None:
        endpoint = f"{settings.opik_url.rstrip('/')}/v1/private/otel/v1/traces"
        headers = {"Authorization": settings.opik_api_key.get_secret_value(), "projectName": settings.opik_project}
        if settings.opik_workspace is not None:
            headers["Comet-Workspace"] = settings.opik_workspace
        exporters.append(("Opik", OTLPSpanExporter(endpoint, headers=headers, timeout=EXPORT_S)))
    return [
        BoundedProcessor(CountingExporter(exporter, name=name, dropped=dropped), dropped)
        for name, exporter in exporters
    ]
