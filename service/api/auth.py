"""The gate: who calls is known from the headers alone, before a byte of the body is read or a route is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.api.errors import refuse
from service.errors import RagError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from service.access.caller import Caller
    from service.access.opening import Access
    from service.telemetry import Exchange

# Load balancers and orchestrators carry no key; what these say is no secret.
OPEN_PATHS = frozenset({"/livez", "/readyz", "/health"})
# Served only where RAG_DOCS says so. The page is read by a browser, which can't send a key before it is typed there.
DOCS_PATHS = frozenset({"/docs", "/docs/oauth2-redirect", "/openapi.json"})
DOCS_FILES = "/static-offline-docs/"


class Gate:
    """Lets through whom the app's access knows, as `scope["caller"]`; everything that is not open asks for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_open(scope["path"]):
            try:
                caller = await self._caller(scope)
            except RagError as exc:
                await refuse(scope, exc)(scope, receive, send)
                return
            scope["caller"] = caller
            exchange: Exchange = scope["exchange"]
            exchange.key = caller.name
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        access: Access = scope["app"].state.service.access
        return await access.authentication.caller(scope["headers"])


def is_open(path: str) -> bool:
    """Whether a path answers without a credential."""
    return path in OPEN_PATHS or path in DOCS_PATHS or path.startswith(DOCS_FILES)
