"""Headers that tell browsers to trust nothing: few and constant. HSTS belongs to who ends TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.api.paths import DOCS_FILES, DOCS_PATHS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
NO_STORE = (b"cache-control", b"no-store")  # an answer is its caller's alone
NOTHING = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# Swagger UI is served from here; the page's own script is inline, and nothing that a caller sent is on it.
POLICY = (
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = (b"content-security-policy", POLICY)

_OF_FILES = (*ALWAYS, NOTHING)
_OF_PAGES = (*ALWAYS, NO_STORE, PAGE)
_OF_ANSWERS = (*ALWAYS, NO_STORE, NOTHING)


class SecurityHeaders:
    """Adds them to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = headers(scope["path"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in added if pair[0] not in said)]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def headers(path: str) -> tuple[tuple[bytes, bytes], ...]:
    """Of a response under `path`, where the response does not say them itself."""
    if path.startswith(DOCS_FILES):
        return _OF_FILES
    return _OF_PAGES if path in DOCS_PATHS else _OF_ANSWERS
