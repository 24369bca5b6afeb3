"""The app in this process, with its lifespan, and a client that calls it without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from service.app import create_app
from service.parts import Parts
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeStore


@asynccontextmanager
async def calling(settings: Settings, **parts: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app for `settings` over scripted backends, `parts` in place of the usual ones."""
    known = {"embedder": FakeEmbedder(), "store": FakeStore(), "generator": FakeGenerator()} | parts
    app = create_app(settings, Parts(**known))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield http
