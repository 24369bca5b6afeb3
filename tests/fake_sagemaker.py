"""A fake of the SageMaker runtime: streamed invocations with AWS's framing, in front of containers that a test scripts.

A container is what its contract says: JSON in, server-sent events out. The fake checks the call's signature with
botocore, and frames what the container writes as payload parts of any size.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from binascii import crc32
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
WORDS = ("Super", "visor", " con", "trols", " processes", " \u2028 naïve 数据 😀", " [1].")
NO_CAPACITY = (
    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress "
    "(if configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API."
)

Container = Callable[[dict[str, Any]], AsyncIterator[bytes]]


def frame(payload: bytes, **headers: str) -> bytes:
    """One message of application/vnd.amazon.eventstream; header names are given with `_` for `-`."""
    packed = b""
    for name, value in headers.items():
        key, text = f":{name.replace('_', '-')}".encode(), value.encode()
        packed += struct.pack("!B", len(key)) + key + struct.pack("!BH", 7, len(text)) + text
    prelude = struct.pack("!II", 12 + len(packed) + len(payload) + 4, len(packed))
    message = prelude + struct.pack("!I", crc32(prelude)) + packed + payload
    return message + struct.pack("!I", crc32(message))


def part(payload: bytes) -> bytes:
    return frame(payload, message_type="event", event_type="PayloadPart", content_type="application/octet-stream")


def sse(event: Any) -> bytes:
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def vllm(words: Sequence[str] = WORDS, *, pace_s: float = 0.0) -> Container:
    """vLLM's chat completions: the reason to stop in one event, the usage in the next, then [DONE]."""

    async def events(body: dict[str, Any]) -> AsyncIterator[bytes]:
        assert body["stream"] is True
        assert {message["role"] for message in body["messages"]} <= {"system", "user", "assistant"}
        said = list(words[: body["max_tokens"]])
        yield sse({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
        for word in said:
            await asyncio.sleep(pace_s)
            yield sse({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        reason = "length" if len(said) < len(words) else "stop"
        yield sse({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if body["stream_options"]["include_usage"]:
            yield sse({"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": len(said)}})
        yield b"data: [DONE]\n\n"

    return events


def tgi(words: Sequence[str] = WORDS, *, pace_s: float = 0.0) -> Container:
    """TGI's generate_stream: one event per token, the details in the last one, and no [DONE]."""

    async def events(body: dict[str, Any]) -> AsyncIterator[bytes]:
        assert body["stream"] is True
        assert isinstance(body["inputs"], str)
        said = list(words[: body["parameters"]["max_new_tokens"]])
        length = len(said) < len(words)
        for number, word in enumerate(said, start=1):
            await asyncio.sleep(pace_s)
            last = length and number == len(said)
            details = {"finish_reason": "length", "generated_tokens": number, "input_length": 40} if last else None
            yield b"data:" + sse({"token": {"text": word, "special": False}, "details": details})[6:]
        if not length:
            details = {"finish_reason": "eos_token", "generated_tokens": len(said), "input_length": 40}
            yield b"data:" + sse({"token": {"text": "<|eot_id|>", "special": True}, "details": details})[6:]

    return events


def proxied(url: str) -> Container:
    """A container that is really a server of the OpenAI API."""

    async def events(body: dict[str, Any]) -> AsyncIterator[bytes]:
        async with (
            httpx.AsyncClient(trust_env=False, timeout=60) as http,
            http.stream("POST", f"{url}/v1/chat/completions", json=body) as response,
        ):
            async for received in response.aiter_bytes():
                yield received

    return events


async def silent(_: dict[str, Any]) -> AsyncIterator[bytes]:
    """A container that takes the request and never answers."""
    await asyncio.sleep(3600)
    yield b""


@dataclass
class FakeRuntime:
    """One runtime with one container behind every endpoint name.

    Attributes:
        part_bytes: size of a payload part; None leaves the container's writes whole.
        refusal: (status, code, message and more) that every call is answered with while it is set.
        broken_after: payload parts after which the stream breaks, and how: `cut`, or an exception's name.
        keys: callers by access key, whose signatures are accepted.
        left: when a client was seen to leave before the end, on the monotonic clock.
    """

    container: Container = field(default_factory=vllm)
    part_bytes: int | None = None
    refusal: tuple[int, str, dict[str, Any]] | None = None
    broken_after: tuple[int, str] | None = None
    keys: Mapping[str, Credentials] = field(default_factory=lambda: {KEYS.access_key: KEYS})
    calls: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    left: list[float] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = await _read(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.calls.append((scope["path"], headers, json.loads(body)))
        refusal = self.refusal
        if not self._signed(scope["path"], headers, body):
            refusal = (403, "InvalidSignatureException", {"message": "The request signature does not match."})
        if refusal:
            await _refuse(send, *refusal)
            return
        gone = asyncio.ensure_future(receive())  # the next message there is says that the client is gone
        frames = self._frames(json.loads(body))
        started = False
        try:
            while True:
                following = asyncio.ensure_future(anext(frames, None))
                await asyncio.wait({following, gone}, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    self.left.append(time.monotonic())
                    following.cancel()
                    with suppress(asyncio.CancelledError):
                        await following
                    return
                sent = following.result()
                if not started:
                    started = True
                    kind = [(b"content-type", b"application/vnd.amazon.eventstream")]
                    await send({"type": "http.response.start", "status": 200, "headers": kind})
                await send({"type": "http.response.body", "body": sent or b"", "more_body": sent is not None})
                if sent is None:
                    return
        finally:
            gone.cancel()
            await frames.aclose()

    async def _frames(self, body: dict[str, Any]) -> Any:
        count = 0
        async for written in self.container(body):
            size = self.part_bytes or max(1, len(written))
            for start in range(0, len(written), size):
                if self.broken_after and count == self.broken_after[0]:
                    if self.broken_after[1] == "cut":
                        raise ConnectionAbortedError  # the server closes the connection inside the response
                    yield frame(b'{"Message":"x"}', message_type="exception", exception_type=self.broken_after[1])
                    return
                yield part(written[start : start + size])
                count += 1

    def _signed(self, path: str, headers: dict[str, str], body: bytes) -> bool:
        """Sign the same request again and compare."""
        fields = dict(part.strip().split("=", 1) for part in headers["authorization"].split(" ", 1)[1].split(","))
        sent = {name: headers[name] for name in fields["SignedHeaders"].split(";")}
        request = AWSRequest("POST", f"http://{headers['host']}{path}", data=body, headers=sent)
        request.context["timestamp"] = headers["x-amz-date"]
        caller, _, region, service, _ = fields["Credential"].split("/")
        if caller not in self.keys:
            return False
        auth = SigV4Auth(self.keys[caller], service, region)
        text = auth.string_to_sign(request, auth.canonical_request(request))
        return service == "sagemaker" and bool(auth.signature(text, request) == fields["Signature"])


async def _read(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def _refuse(send: Any, status: int, code: str, fields: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json"), (b"x-amzn-errortype", f"{code}:http://internal/".encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(fields).encode()})
