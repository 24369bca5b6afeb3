"""All of it behind one object: what the app tells, and which sinks are there to be told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from service.telemetry import propagation
from service.telemetry.emf import EmbeddedMetrics
from service.telemetry.exchange import PROBES, Exchange, Sink, outcome
from service.telemetry.logs import AccessLog
from service.telemetry.metrics import Metrics, metrics_server

if TYPE_CHECKING:
    from contextvars import Token

    from service.resilience import Breakers
    from service.settings import Settings
    from service.telemetry.push import Push
    from service.telemetry.traces import Traces


class Telemetry:
    """One per app."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.metrics = Metrics(release=settings.release, served_by=settings.served_by)
        self._traces: Traces | None = None
        self._emf: EmbeddedMetrics | None = None
        if settings.emf_namespace is not None:
            self._emf = EmbeddedMetrics(
                settings.emf_namespace,
                release=settings.release,
                served_by=settings.served_by,
                write=_print,
                levels=self.metrics.levels,
            )
        self._sinks: tuple[Sink, ...] = tuple(
            sink for sink in (self.metrics, AccessLog(), self._emf) if sink is not None
        )

    def begin(self, exchange: Exchange, path: str, headers: Mapping[str, str]) -> Token[propagation.Headers | None]:
        """A request has arrived; its outgoing calls carry its id and its place in the caller's trace."""
        self.metrics.began(exchange)
        carried = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
        if self._traces is not None and path not in PROBES:
            carried = self._traces.began(exchange, headers)
        return propagation.carry(carried | {"x-request-id": exchange.request_id})

    def end(self, exchange: Exchange, token: Token[propagation.Headers | None]) -> None:
        """It is answered, or given up."""
        propagation.drop(token)
        exchange.end()
        for sink in self._sinks:
            sink.ended(exchange)

    def watch(self, breakers: Breakers) -> None:
        """Count the calls that pass these breakers, and show their states."""
        settings, metrics, emf = self._settings, self.metrics, self._emf
        backends = {"query-model": settings.query_model, "generator": settings.generator, "fallback": settings.fallback}

        def called(dependency: str, error: BaseException | None, seconds: float) -> None:
            ended = outcome(error)
            metrics.called(dependency, backends.get(dependency, dependency), ended, seconds)
            if emf is not None:
                emf.called(dependency, ended)

        breakers.on_call(called)
        breakers.on_change(metrics.breaker)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve the metrics, send traces and metric lines; at the end send what is left, within a bound.

        Raises:
            StartupError: the metrics' port is taken.
        """
        settings = self._settings
        async with AsyncExitStack() as stack:
            if settings.otlp_endpoint is not None or settings.opik_api_key is not None:
                self._traces = _open_traces(settings, self.metrics)
                self._sinks = (*self._sinks, self._traces)
                stack.push_async_callback(self._traces.aclose)
            if settings.metrics_push is not None:
                push = _open_push(settings, settings.metrics_push, self.metrics)
                self._sinks = (*self._sinks, push)
                await stack.enter_async_context(_pushing(push))
            if self._emf is not None:
                await stack.enter_async_context(_flushing(self._emf))
            stack.enter_context(metrics_server(self.metrics.registry, settings.host, settings.metrics_port))
            yield


def _open_traces(settings: Settings, metrics: Metrics) -> Traces:
    from service.telemetry.span_sinks import processors  # noqa: PLC0415 - see there
    from service.telemetry.traces import Traces  # noqa: PLC0415

    def dropped(reason: str, count: int) -> None:
        metrics.spans_dropped.labels(reason).inc(count)

    return Traces(processors(settings, dropped), settings)


def _open_push(settings: Settings, namespace: str, metrics: Metrics) -> Push:
    from service.adapters.cloudwatch import CloudWatch  # noqa: PLC0415 - boto3 loads when it is asked for
    from service.telemetry.push import Push  # noqa: PLC0415

    writer = CloudWatch(namespace, host=settings.host_name, region=settings.aws_region)
    return Push(writer, sent=metrics.pushed)


@asynccontextmanager
async def _pushing(push: Push) -> AsyncIterator[None]:
    running = asyncio.create_task(push.run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await push.last()


@asynccontextmanager
async def _flushing(emf: EmbeddedMetrics) -> AsyncIterator[None]:
    running = asyncio.create_task(emf.run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        emf.flush()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
