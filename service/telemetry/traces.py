"""OpenTelemetry traces: a span per request and one per stage, with the GenAI conventions' attribute names.

This module is imported only where a sink is configured: the SDK takes longer to load than the rest of the service.
Spans of stages are made at the end of a request from what its trace noted, so that the pipeline knows nothing of them.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.errors import StageUnavailable
from service.telemetry.exchange import FIRST_SERVER_ERROR
from service.telemetry.propagation import Headers

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor

    from service.rag.trace import Trace
    from service.settings import Settings
    from service.telemetry.exchange import Exchange

SHUTDOWN_S = 3.0  # after the drain's 30 s it still ends below the stop timeout of 45 s
NANO = 1_000_000_000
PROVIDERS = {"openai": "openai", "sagemaker": "aws.sagemaker", "llamacpp": "llama.cpp"}
PROPAGATOR = TraceContextTextMapPropagator()


class Traces:
    """Makes spans of exchanges."""

    def __init__(self, processors: Sequence[SpanProcessor], settings: Settings) -> None:
        self._settings = settings
        self._processors = processors
        resource = Resource.create({"service.name": "rag-platform", "service.version": settings.release})
        # Ended by `aclose` within a bound; at exit the SDK would wait for 30 s.
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for processor in processors:
            provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("service")

    def began(self, exchange: Exchange, headers: Mapping[str, str]) -> Headers:
        """Start the request's span below the caller's; gives the headers for calls to other stacks."""
        caller = PROPAGATOR.extract(headers)
        exchange.span = self._tracer.start_span(exchange.method, caller, SpanKind.SERVER)
        carried: Headers = {}
        PROPAGATOR.inject(carried, api.set_span_in_context(exchange.span))
        return carried

    def ended(self, exchange: Exchange) -> None:
        """End the request's span; add one per stage."""
        span = exchange.span
        if span is None or not span.is_recording():
            return
        now = time.time_ns() - int(time.perf_counter() * NANO)
        self._stages(exchange, api.set_span_in_context(span), now)
        span.update_name(f"{exchange.method} {exchange.route}")
        span.set_attributes(self._request(exchange))
        if (cause := exchange.cause) is not None:
            span.set_attribute("error.type", cause)
            if exchange.status >= FIRST_SERVER_ERROR:  # the conventions leave a server's span unset on 4xx
                span.set_status(StatusCode.ERROR, cause)
        span.end()

    async def aclose(self) -> None:
        """Send what is queued, as far as that takes no longer than SHUTDOWN_S."""
        # Daemons of their own, since a hung sink would keep the loop's executor, and with it the process.
        closing = [threading.Thread(target=processor.shutdown, daemon=True) for processor in self._processors]
        for thread in closing:
            thread.start()
        until = time.monotonic() + SHUTDOWN_S
        for thread in closing:
            await asyncio.to_thread(thread.join, max(0.0, until - time.monotonic()))

    def _stages(self, exchange: Exchange, parent: Context, epoch_ns: int) -> None:
        trace, error = exchange.trace, exchange.error
        failed = error.stage if isinstance(error, StageUnavailable) else None
        for stage, (began, ended) in trace.spans.items():
            attributes = self._model(stage, trace) | {"rag.stage": stage, "rag.busy_ms": trace.stage_ms[stage]}
            operation, model = attributes.get("gen_ai.operation.name"), attributes.get("gen_ai.request.model")
            span = self._tracer.start_span(
                f"{operation} {model}" if model else stage,
                parent,
                SpanKind.CLIENT if model else SpanKind.INTERNAL,
                attributes,
                start_time=epoch_ns + int(began * NANO),
            )
            if stage == failed or stage in trace.degraded:
                span.set_status(StatusCode.ERROR, exchange.cause if stage == failed else "degraded")
            span.end(epoch_ns + int(ended * NANO))

    def _request(self, exchange: Exchange) -> dict[str, Any]:
        trace = exchange.trace
        attributes: dict[str, Any] = {
            "http.request.method": exchange.method,
            "http.route": exchange.route,
            "http.response.status_code": exchange.status,
            "rag.request_id": exchange.request_id,
        }
        if not trace.ran:
            return attributes
        attributes |= {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": "rag",
            # not `gen_ai.usage`, which the calls' own spans have: who sums a trace up would count twice
            "rag.input_tokens": trace.usage.input_tokens,
            "rag.output_tokens": trace.usage.output_tokens,
            "rag.served_by": trace.served_by or self._settings.served_by,
            "rag.degraded": list(trace.degraded),
        }
        if trace.cache is not None:
            attributes["rag.cache"] = trace.cache
        if trace.cost_usd is not None:
            attributes["rag.cost_usd"] = float(trace.cost_usd)
        if self._settings.trace_content:
            attributes["gen_ai.input.messages"] = _messages("user", trace.question)
            attributes["gen_ai.output.messages"] = _messages("assistant", trace.answer)
        return attributes

    def _model(self, stage: str, trace: Trace) -> dict[str, Any]:
        """What the conventions want to know of a stage; nothing of one that they do not know."""
        if stage == "retrieval":
            return {"gen_ai.operation.name": "retrieval"}
        used = trace.used.get(stage)
        if stage == "generation":
            provider, model = self._generator(trace), trace.model
        else:
            provider, model = "openai", self._settings.openai_model_id if stage != "reranking" else ""
        if not model:
            return {}
        tokens = {} if used is None else {"input_tokens": used.input_tokens, "output_tokens": used.output_tokens}
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.system": provider,  # its name until semantic conventions 1.37, which Opik reads
            "gen_ai.request.model": model,
            **{f"gen_ai.usage.{name}": count for name, count in tokens.items()},
        }

    def _generator(self, trace: Trace) -> str:
        own = trace.served_by in {None, self._settings.served_by}
        return PROVIDERS.get(self._settings.generator if own else self._settings.fallback, "")


def _messages(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])
