"""One request, from connecting to the last byte, and what it came to."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import aiohttp

from opsctl.load.outcome import Ending, Outcome, of_answer, of_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

OK_STATUS = 200


@dataclass(frozen=True, slots=True)
class Asking:
    """How every request of a run is made.

    Attributes:
        path: of the service.
        method: GET sends no query.
        stream: ask for server-sent events.
        pause_s: how long a slow reader of a stream waits after each event.
        timeout_s: of one request in all.
    """

    path: str = "/rag"
    method: Literal["GET", "POST"] = "POST"
    stream: bool = False
    pause_s: float = 0.0
    timeout_s: float = 30.0

    def body(self, query: str) -> bytes | None:
        """The request's JSON."""
        if self.method == "GET":
            return None
        return json.dumps({"query": query, "stream": True} if self.stream else {"query": query}).encode()


async def ask(
    session: aiohttp.ClientSession, url: str, asking: Asking, query: str, headers: Mapping[str, str]
) -> Ending:
    """Send it and wait for the end; never raises what a server or a network can do."""
    try:
        async with (
            asyncio.timeout(asking.timeout_s),
            session.request(
                asking.method, url, data=asking.body(query), headers=headers, allow_redirects=False
            ) as response,
        ):
            if response.status != OK_STATUS:
                return Ending(of_problem(response.status, await _json(response)))
            return await (_streamed(response, asking.pause_s) if asking.stream else _whole(response))
    except TimeoutError:
        return Ending(Outcome.TIMEOUT)
    except aiohttp.ClientConnectorError:
        return Ending(Outcome.CONNECT_ERROR)
    except (aiohttp.ClientError, OSError):
        return Ending(Outcome.CUT)
    except ValueError:  # an answer that is no JSON
        return Ending(Outcome.OTHER)


async def _json(response: aiohttp.ClientResponse) -> object:
    """The body, or None: what a proxy says of its own is no JSON."""
    body = await response.read()
    try:
        return cast("object", json.loads(body))
    except ValueError:
        return None


async def _whole(response: aiohttp.ClientResponse) -> Ending:
    return of_answer(json.loads(await response.read()))


async def _streamed(response: aiohttp.ClientResponse, pause_s: float) -> Ending:
    """Follow the events of /rag by their names; `done` carries the answer."""
    first_token_s: float | None = None
    event = b""
    async for line in response.content:
        name, _, value = line.rstrip(b"\r\n").partition(b": ")
        if name == b"event":
            event = value
            if event == b"token" and first_token_s is None:
                first_token_s = asyncio.get_running_loop().time()
        elif name == b"data" and event == b"done":
            return of_answer(json.loads(value), first_token_s)
        elif name == b"data" and event == b"error":
            return Ending(Outcome.CUT, first_token_s)
        elif not name and pause_s:
            await asyncio.sleep(pause_s)
    return Ending(Outcome.CUT, first_token_s)
