"""The two containers that a model endpoint may run: what each is asked, and what each event of its answer means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from service.adapters import chat_stream
from service.errors import StageUnavailable
from service.ports import Delta, Usage

if TYPE_CHECKING:
    from service.ports import Message

_HEADINGS = {"system": "", "user": "### Instruction:\n", "assistant": "### Response:\n"}


@dataclass(frozen=True, slots=True)
class Engine:
    """`request(messages, max_tokens)` is the body; `delta(event)` reads one JSON event of the stream."""

    request: Callable[[Sequence[Message], int], dict[str, Any]]
    delta: Callable[[Mapping[str, Any]], Delta]


def _vllm_request(messages: Sequence[Message], max_tokens: int) -> dict[str, Any]:
    """The OpenAI body, without `model`: an endpoint serves one, whatever name its container gave it."""
    return {
        "messages": [asdict(message) for message in messages],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _vllm_delta(event: Mapping[str, Any]) -> Delta:
    _raise_error(event)
    return chat_stream.openai_delta(event)


def _tgi_request(messages: Sequence[Message], max_tokens: int) -> dict[str, Any]:
    return {
        "inputs": alpaca(messages),
        "parameters": {"max_new_tokens": max_tokens, "do_sample": False, "return_full_text": False, "details": True},
        "stream": True,
    }


def _tgi_delta(event: Mapping[str, Any]) -> Delta:
    _raise_error(event)
    token, details = event.get("token") or {}, event.get("details")
    text = "" if token.get("special") else token.get("text") or ""
    if not details:
        return Delta(text)
    usage = Usage(details.get("input_length") or 0, details.get("generated_tokens") or 0)
    return Delta(text, usage, chat_stream.finish_reason(details.get("finish_reason") or "stop"))


def alpaca(messages: Sequence[Message]) -> str:
    """One prompt in the Alpaca form, which the TwinLlama models were tuned on and others read.

    A message can't open a section of its own, nor hold the special tokens that TGI reads inside a plain prompt.
    """
    parts = [_HEADINGS[message.role] + _inert(message.content) for message in messages]
    return "\n\n".join([*parts, _HEADINGS["assistant"]])


def _inert(text: str) -> str:
    for heading in filter(None, _HEADINGS.values()):
        text = text.replace(heading.strip(), heading.strip().lstrip("# "))
    return text.replace("<|", "< |").replace("</s>", "< /s>")


def _raise_error(event: Mapping[str, Any]) -> None:
    """Both engines report a failure inside the stream as an `error` field; its text may quote the prompt."""
    error = event.get("error")
    if error:
        kind = event.get("error_type") or (error.get("type") if isinstance(error, dict) else None) or "error"
        raise StageUnavailable(chat_stream.STAGE, f"the model broke off the answer ({kind}); see the endpoint's log")


ENGINES = {"vllm": Engine(_vllm_request, _vllm_delta), "tgi": Engine(_tgi_request, _tgi_delta)}
