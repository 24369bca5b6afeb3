"""OpenAI's files and batches endpoints, as far as the batch client uses them; a batch is done after so many looks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

NOW = 1_790_000_000


def echoed(body: dict[str, Any]) -> str:
    return f"About {body['messages'][-1]['content'].splitlines()[0]}."


@dataclass
class BatchServer:
    """`fails` says of which requests the answer is an error; `refusal` is the status of every call while it is set."""

    looks: int = 1
    answer: Callable[[dict[str, Any]], str] = echoed
    fails: Callable[[dict[str, Any]], bool] = lambda _: False
    invalid: bool = False
    expires: bool = False
    refusal: int | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)

    def app(self) -> Starlette:
        calls = [
            ("POST", "/v1/files", self._upload),
            ("GET", "/v1/files/{file}/content", self._content),
            ("POST", "/v1/batches", self._create),
            ("GET", "/v1/batches", self._list),
            ("GET", "/v1/batches/{batch}", self._look),
        ]
        return Starlette(routes=[Route(path, self._guarded(call), methods=[method]) for method, path, call in calls])

    @property
    def requests(self) -> list[dict[str, Any]]:
        sent = [self.files[batch["input_file_id"]] for batch in self.batches.values()]
        return [json.loads(line) for content in sent for line in content.splitlines()]

    def _guarded(self, call: Any) -> Any:
        async def answer(request: Request) -> Response:
            if self.refusal:
                return JSONResponse({"error": {"message": "no", "type": "x", "code": None}}, self.refusal)
            return await call(request)

        return answer

    async def _upload(self, request: Request) -> Response:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        parts = {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in message_from_bytes(head + await request.body()).get_payload()
        }
        assert parts["purpose"] == b"batch"
        name = f"file-{len(self.files)}"
        self.files[name] = parts["file"]
        size = len(self.files[name])
        file = {"id": name, "object": "file", "bytes": size, "created_at": NOW, "filename": "f", "purpose": "batch"}
        return JSONResponse(file | {"status": "processed"})

    async def _content(self, request: Request) -> Response:
        return PlainTextResponse(self.files[request.path_params["file"]])

    async def _create(self, request: Request) -> Response:
        body = await request.json()
        assert (body["endpoint"], body["completion_window"]) == ("/v1/chat/completions", "24h")
        lines = self.files[body["input_file_id"]].splitlines()
        name = f"batch_{len(self.batches)}"
        self.batches[name] = body | {
            "id": name,
            "object": "batch",
            "created_at": NOW,
            "status": "validating",
            "looks": 0,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }
        return JSONResponse(self.batches[name])

    async def _list(self, _: Request) -> Response:
        rows = list(reversed(self.batches.values()))
        return JSONResponse({"object": "list", "data": rows, "has_more": False})

    async def _look(self, request: Request) -> Response:
        batch = self.batches[request.path_params["batch"]]
        batch["looks"] += 1
        if self.invalid:
            error = {"code": "invalid_json_line", "message": "line 1", "line": 1, "param": None}
            batch |= {"status": "failed", "errors": {"object": "list", "data": [error]}}
        elif batch["looks"] <= self.looks:
            batch["status"] = "in_progress"
        elif batch["status"] not in {"completed", "expired"}:
            self._finish(batch)
        return JSONResponse(batch)

    def _finish(self, batch: dict[str, Any]) -> None:
        good, bad = [], []
        for line in self.files[batch["input_file_id"]].splitlines():
            row = json.loads(line)
            if self.fails(row["body"]):
                body = {"error": {"message": "too long", "code": "context_length_exceeded"}}
                bad.append(
                    {"custom_id": row["custom_id"], "response": {"status_code": 400, "body": body}, "error": None}
                )
                continue
            message = {"role": "assistant", "content": self.answer(row["body"])}
            usage = {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}
            body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
            good.append({"custom_id": row["custom_id"], "response": {"status_code": 200, "body": body}, "error": None})
        if self.expires:
            good = good[: len(good) // 2]
        for name, rows in (("output", good), ("error", bad)):
            if rows:
                batch[f"{name}_file_id"] = f"{batch['id']}-{name}"
                self.files[f"{batch['id']}-{name}"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        batch["status"] = "expired" if self.expires else "completed"
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}
