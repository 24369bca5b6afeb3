"""A server of the OpenAI API that says what a test scripts: structured output for the query model, and streams.

The author that it finds in a question is one that the test names; everything else about it is the API's own shape.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

FIXED = {"id": "c", "object": "chat.completion", "created": 1, "model": "scripted"}


@dataclass
class ScriptedOpenAI:
    """`refusal` is (status, headers) of every answer while it is set."""

    author: str = ""
    words: Sequence[str] = ("The engine ", "weaves ", "patterns ", "[1].")
    pace_s: float = 0.0
    refusal: tuple[int, dict[str, str]] | None = None
    calls: int = 0
    open_streams: int = 0
    _bodies: list[Any] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/chat/completions", self._complete, methods=["POST"])])

    async def _complete(self, request: Request) -> Response:
        self.calls += 1
        if self.refusal is not None:
            status, headers = self.refusal
            return JSONResponse({"error": {"message": "no", "type": "scripted", "code": None}}, status, headers)
        body = await request.json()
        if body.get("stream"):
            return StreamingResponse(self._stream(), media_type="text/event-stream")
        return self._structured(body)

    def _structured(self, body: dict[str, Any]) -> Response:
        question = body["messages"][-1]["content"]
        fields = body["response_format"]["json_schema"]["schema"]["properties"]
        said = {name: f"{question} ({name})" for name in fields}
        if "author" in fields:
            said = {"author": self.author if self.author and self.author in question else None}
        message = {"role": "assistant", "content": json.dumps(said)}
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse({**FIXED, "choices": [choice], "usage": usage})

    async def _stream(self) -> AsyncIterator[str]:
        self.open_streams += 1
        try:
            for word in self.words:
                await asyncio.sleep(self.pace_s)
                yield _event([{"index": 0, "delta": {"content": word}, "finish_reason": None}])
            yield _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
            yield _event([], usage={"prompt_tokens": 9, "completion_tokens": len(self.words), "total_tokens": 9})
            yield "data: [DONE]\n\n"
        finally:
            self.open_streams -= 1


def _event(choices: list[dict[str, Any]], **more: Any) -> str:
    return f"data: {json.dumps({**FIXED, 'object': 'chat.completion.chunk', 'choices': choices, **more})}\n\n"
