"""A real prompt to the model, timed: when the first token came, when the last, and how many there were.

Each engine is asked in its own words, as the service asks it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from httpx_sse import EventSource

from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opsctl.endpoint.spec import Engine

PROMPT = "In two sentences, what does a load balancer do?"
DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Trial:
    """What one prompt came to; tokens are as the engine counts them."""

    text: str
    first_token_s: float
    total_s: float
    input_tokens: int
    output_tokens: int

    @property
    def tokens_per_s(self) -> float | None:
        """How fast tokens came once they came; None for a single one."""
        decoding_s = self.total_s - self.first_token_s
        return (self.output_tokens - 1) / decoding_s if self.output_tokens > 1 and decoding_s > 0 else None


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None


def try_prompt(engine: Engine, prompt: str, max_tokens: int, send: Callable[[bytes], Iterator[bytes]]) -> Trial:
    """Send `prompt` and read its answer; `send` gives the answer's bytes as they come.

    Raises:
        CheckFailed: the model broke off, or said nothing.
    """
    ask, read = ENGINES[engine]
    began, first, text, used = time.perf_counter(), 0.0, "", _Piece()
    for event in _events(send(json.dumps(ask(prompt, max_tokens)).encode())):
        piece = read(event)
        if piece.text and not text:
            first = time.perf_counter() - began
        text += piece.text
        used = piece if piece.output_tokens is not None else used
    total = time.perf_counter() - began
    if not text.strip():
        raise CheckFailed("the model answered nothing", next_step="see `opsctl endpoint logs`")
    return Trial(text, first, total, used.input_tokens or 0, used.output_tokens or 0)


def _events(received: Iterator[bytes]) -> Iterator[Mapping[str, Any]]:
    as_sent = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=received)
    for event in EventSource(as_sent).iter_sse():
        if event.data == DONE:
            continue
        try:
            found = json.loads(event.data)
        except ValueError as exc:
            raise CheckFailed("the container sent no JSON", next_step="see `opsctl endpoint logs`") from exc
        if "error" in found:
            raise CheckFailed("the model broke off its answer", next_step="see `opsctl endpoint logs`")
        yield found


def _ask_vllm(prompt: str, max_tokens: int) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _read_vllm(event: Mapping[str, Any]) -> _Piece:
    usage, choices = event.get("usage") or {}, event.get("choices") or [{}]
    text = (choices[0].get("delta") or {}).get("content") or ""
    return _Piece(text, usage.get("prompt_tokens"), usage.get("completion_tokens"))


def _ask_tgi(prompt: str, max_tokens: int) -> dict[str, Any]:
    text = f"### Instruction:\n{prompt}\n\n### Response:\n"
    return {"inputs": text, "parameters": {"max_new_tokens": max_tokens, "details": True}, "stream": True}


def _read_tgi(event: Mapping[str, Any]) -> _Piece:
    token, details = event.get("token") or {}, event.get("details") or {}
    text = "" if token.get("special") else token.get("text") or ""
    return _Piece(text, details.get("input_length"), details.get("generated_tokens"))


ENGINES: dict[str, tuple[Callable[[str, int], dict[str, Any]], Callable[[Mapping[str, Any]], _Piece]]] = {
    "vllm": (_ask_vllm, _read_vllm),
    "tgi": (_ask_tgi, _read_tgi),
}
