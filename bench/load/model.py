"""A language model's server that takes its time and no CPU: OpenAI's API as far as the service uses it.

    python bench/load/model.py --port N [--first-token-s 0.1] [--pieces 4] [--gap-s 0]

GET /calls answers with the number of completions so far.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response


@dataclass
class Model:
    """What it says, when, and how often it was asked."""

    first_token_s: float
    pieces: int
    gap_s: float
    calls: int = 0

    async def complete(self, request: Request) -> Response:
        """Stream a completion."""
        await request.body()
        self.calls += 1
        return StreamingResponse(self._chunks(), media_type="text/event-stream")

    async def _chunks(self) -> AsyncIterator[bytes]:
        await asyncio.sleep(self.first_token_s)
        for _ in range(self.pieces):
            yield _chunk(choices=[{"index": 0, "delta": {"content": "It is so [1]. "}, "finish_reason": None}])
            await asyncio.sleep(self.gap_s)
        yield _chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
        yield _chunk(choices=[], usage={"prompt_tokens": 400, "completion_tokens": 16, "total_tokens": 416})
        yield b"data: [DONE]\n\n"

    async def count(self, request: Request) -> Response:
        """How many there were."""
        del request
        return JSONResponse({"calls": self.calls})


def _chunk(**changed: object) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "stub"} | changed
    return f"data: {json.dumps(chunk)}\n\n".encode()


async def models(request: Request) -> Response:
    del request
    return JSONResponse({"object": "list", "data": [{"id": "stub", "object": "model", "created": 0, "owned_by": "x"}]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--first-token-s", type=float, default=0.1)
    parser.add_argument("--pieces", type=int, default=4)
    parser.add_argument("--gap-s", type=float, default=0.0)
    options = parser.parse_args()
    model = Model(options.first_token_s, options.pieces, options.gap_s)
    routes = [
        Route("/v1/chat/completions", model.complete, methods=["POST"]),
        Route("/v1/models", models),
        Route("/calls", model.count),
    ]
    # Kept connections outlive the service's pool, as those of a vendor do: else some are closed under a request.
    uvicorn.run(
        Starlette(routes=routes), port=options.port, timeout_keep_alive=75, access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
