"""The ASGI application: wiring and lifespan; no logic."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from service import settings as environment
from service.api import errors, health, openai, rag
from service.api.middleware import BodyLimit, RequestContext
from service.api.state import State
from service.errors import StartupError
from service.parts import Parts, open_parts
from service.rag.cached import Answers
from service.rag.pipeline import Pipeline
from service.settings import Settings
from service.telemetry import Telemetry, metrics_server


def create_app(settings: Settings | None = None, parts: Parts | None = None) -> FastAPI:
    """The application for `settings` (from the environment where absent).

    Args:
        settings: limits and backends.
        parts: ready-made backends for tests; they are not closed by the app.

    Raises:
        StartupError: a setting is wrong; backends are opened later, in the lifespan.
    """
    settings = settings or environment.load()
    telemetry = Telemetry()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                opened = await stack.enter_async_context(open_parts(settings)) if parts is None else parts
                stack.enter_context(metrics_server(telemetry, settings.host, settings.metrics_port))
            except StartupError as exc:
                app.state.refused = exc
                raise
            pipeline = Pipeline(opened, settings)
            answers = Answers(pipeline, opened, settings)
            state = State(settings, telemetry, opened, pipeline, answers, ready=True)
            app.state.service = state
            try:
                yield
            finally:
                state.ready = False

    app = FastAPI(
        title="rag-platform",
        summary="Questions answered from your own documents, with sources.",
        version="1",
        lifespan=lifespan,
        docs_url="/docs" if settings.docs else None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
    )
    app.state.refused = None
    errors.install(app)
    app.include_router(health.router)
    app.include_router(rag.router)
    app.include_router(openai.router)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(RequestContext, telemetry=telemetry, served_by=settings.served_by)
    return app
