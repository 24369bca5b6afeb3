"""What chat backends have in common: the text of a stream first, its counts and its reason to stop last, once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from service.errors import StageUnavailable
from service.ports import Delta, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

STAGE = "generation"


@dataclass(slots=True)
class Ending:
    """Gathers what a backend spreads over its last events."""

    usage: Usage | None = None
    finish_reason: Literal["stop", "length"] | None = None

    def note(self, delta: Delta) -> None:
        """Remember what `delta` says about the end."""
        self.usage = delta.usage or self.usage
        self.finish_reason = delta.finish_reason or self.finish_reason


async def in_order(deltas: AsyncGenerator[Delta], *, backend: str) -> AsyncGenerator[Delta]:
    """The texts, then one delta with usage and finish reason; closing it closes `deltas`.

    Raises:
        StageUnavailable: the stream ended and never said why: it was cut.
    """
    ending = Ending()
    async with aclosing(deltas):
        async for delta in deltas:
            ending.note(delta)
            if delta.text:
                yield Delta(delta.text)
    if ending.finish_reason is None:
        raise StageUnavailable(STAGE, f"{backend} ended the answer before it was complete")
    yield Delta(usage=ending.usage or Usage(), finish_reason=ending.finish_reason)


def openai_delta(chunk: Mapping[str, Any]) -> Delta:
    """One `chat.completion.chunk` of the OpenAI API, which vLLM speaks too."""
    choice = (chunk.get("choices") or [{}])[0]
    usage = chunk.get("usage")
    return Delta(
        text=(choice.get("delta") or {}).get("content") or "",
        usage=Usage(usage["prompt_tokens"], usage["completion_tokens"]) if usage else None,
        finish_reason=finish_reason(choice.get("finish_reason")),
    )


def finish_reason(said: str | None) -> Literal["stop", "length"] | None:
    """A backend's own word in the port's: everything that ends an answer but the token limit is a stop."""
    if said is None:
        return None
    return "length" if said == "length" else "stop"
