"""The ASGI application: wiring and lifespan; no logic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from service import settings as environment
from service.access.opening import open_access
from service.api import errors, health, openai, rag, security_schemes, snapshots
from service.api.auth import Gate
from service.api.checkup import Checkup
from service.api.middleware import Bounded, JsonBody, RequestContext
from service.api.security_headers import SecurityHeaders
from service.api.snapshots import Connections
from service.api.state import State
from service.errors import StartupError
from service.parts import Models, Parts, open_models, open_parts
from service.rag.cached import Answers
from service.rag.pipeline import Pipeline
from service.renewals import Renewals, rotating
from service.resilience import Admission, Switches
from service.settings import Settings
from service.telemetry import Telemetry
from service.vault import fetch

# What these answer by POST costs something; probes and lists are never refused for want of a place.
ANSWERING = (rag.router, openai.router)


def create_app(settings: Settings | None = None, parts: Parts | None = None) -> FastAPI:
    """The application for `settings` (from the environment where absent).

    Args:
        settings: limits and backends.
        parts: ready-made backends for tests; they are not closed by the app.

    Raises:
        StartupError: a setting is wrong; backends are opened later, in the lifespan.
    """
    settings = settings or environment.load(fetch)
    telemetry = Telemetry(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                models = await stack.enter_async_context(open_models(settings)) if parts is None else None
                await stack.enter_async_context(telemetry.running())
                connections = Connections(partial(_connected, app, settings, telemetry, models, parts))
                stack.push_async_callback(connections.aclose)
                await connections.open()
            except StartupError as exc:
                app.state.refused = exc
                raise
            app.state.connections = connections
            yield

    app = _bare(lifespan, docs=settings.docs)
    app.state.refused = None
    app.state.service = app.state.connections = None
    errors.install(app)
    for router in (*ANSWERING, health.router, *((snapshots.router,) if settings.snapshots else ())):  # tried in turn
        app.include_router(router)
    security_schemes.declare(app)
    app.add_middleware(JsonBody, max_bytes=settings.max_body_bytes)
    app.add_middleware(Bounded, admission=Admission.of(settings), paths=paths_of(*ANSWERING, verb="POST"))
    app.add_middleware(Gate)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-Id"],
            expose_headers=["Retry-After", "WWW-Authenticate", "X-Request-Id"],
        )
    app.add_middleware(RequestContext, telemetry=telemetry, paths=paths_of(health.router, *ANSWERING))
    app.add_middleware(SecurityHeaders)
    return app


@asynccontextmanager
async def _connected(
    app: FastAPI, settings: Settings, telemetry: Telemetry, models: Models | None, parts: Parts | None
) -> AsyncIterator[None]:
    """What is open besides models and telemetry, and the state of the app on top of it."""
    if app.state.connections is not None and settings.secrets_from:
        settings = await asyncio.to_thread(environment.load, fetch)  # a snapshot may be days old
    async with AsyncExitStack() as stack:
        renewals, metrics = Renewals(linger_s=settings.deadline_s), telemetry.metrics
        opened = parts
        if opened is None:
            opening = open_parts(settings, metrics.quota, metrics.bundle, renewals, models)
            opened = await stack.enter_async_context(opening)
        access = await stack.enter_async_context(open_access(settings, opened.breakers, renewals))
        telemetry.watch(opened.breakers)  # those of both
        await stack.enter_async_context(rotating(settings, fetch, renewals))
        switches = Switches(opened.switches)
        stack.push_async_callback(switches.aclose)
        await switches.refresh()
        pipeline = Pipeline(opened, settings, switches)
        answers = Answers(pipeline, opened, settings, switches)
        app.state.service = State(settings, telemetry, pipeline, answers, access, Checkup(opened), ready=True)
        yield


def paths_of(*routers: APIRouter, verb: str | None = None) -> frozenset[str]:
    """Paths of the routers' routes; only those that take `verb`, where one is given."""
    routes = (route for router in routers for route in router.routes if isinstance(route, APIRoute))
    return frozenset(route.path for route in routes if verb is None or verb in (route.methods or ()))


def _bare(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]], *, docs: bool) -> FastAPI:
    facts: dict[str, Any] = {
        "title": "rag-platform",
        "summary": "Questions answered from your own documents, with sources.",
        "version": "1",
        "lifespan": lifespan,
        "redoc_url": None,
        "redirect_slashes": False,  # a redirect is built from the caller's Host header
    }
    if not docs:
        return FastAPI(**facts, docs_url=None, openapi_url=None)
    from fastapi_offline import FastAPIOffline  # noqa: PLC0415 - the page's scripts from here, not from a CDN

    app: FastAPI = FastAPIOffline(**facts, docs_url="/docs", openapi_url="/openapi.json")
    return app
