"""JSON bodies as RFC 8259's careful readers take them: each name once, and no NaN or Infinity.

Python's parser keeps the last of two equal names. A firewall or a proxy that keeps the first one would have checked
another request than the one that is answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute


class StrictRoute(APIRoute):
    """A route whose body is read by `loads`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's way to give a route a request class of its own."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


class _StrictRequest(Request):
    async def json(self) -> Any:  # noqa: ANN401 - any JSON
        return loads(await self.body())


def loads(text: bytes) -> Any:  # noqa: ANN401
    """Any JSON value.

    Raises:
        json.JSONDecodeError: it is none, or one that is read in more than one way.
        ValueError: bytes that are no text, a number too long.
        RecursionError: nested too deeply.
    """
    # Decoded here: Python would guess UTF-16 and UTF-32 as well, where RFC 8259 has UTF-8 alone.
    return _DECODER.decode(text.decode())


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise json.JSONDecodeError("an object has a name twice", "", 0)
    return members


def _no_number(_: str) -> NoReturn:
    raise json.JSONDecodeError("NaN and Infinity are no numbers in JSON", "", 0)


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)  # json.loads would make one per body
