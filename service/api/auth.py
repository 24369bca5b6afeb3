"""The gate: who calls, and whether it may now, is decided from the headers alone, before anything else is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.api.errors import refuse
from service.api.paths import is_open
from service.errors import RagError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from service.access.caller import Caller
    from service.access.opening import Access
    from service.telemetry import Exchange


class Gate:
    """Lets through whom the app's access knows, as `scope["caller"]`; everything that is not open asks for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_open(scope["path"]):
            try:
                scope["caller"] = await _admitted(scope)
            except RagError as exc:
                await refuse(scope, exc)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _admitted(scope: Scope) -> Caller:
    access: Access = scope["app"].state.service.access
    exchange: Exchange = scope["exchange"]
    caller = await access.authentication.caller(scope["headers"])
    exchange.key = caller.name
    await access.quotas.admit(caller)
    return caller
