"""The answer: citations are checked by code, never trusted to the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.rag.guard import FENCE

if TYPE_CHECKING:
    from service.ports import Hit

REFUSED = "I can't answer that."
UNKNOWN = "I don't know: the indexed documents do not cover this question."
GROUNDED = 0.6  # share of a sentence's content words that a source must contain to be its origin
SHORTEST_WORD = 4
FEWEST_WORDS = 4  # a sentence of fewer content words could be from anywhere

_MARK = re.compile(r"\s*\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Checked:
    """The answer's text with valid marks only, and the numbers of the sources that it cites."""

    text: str
    citations: tuple[int, ...]


REFUSAL = Checked(REFUSED, ())


def check(text: str, sources: Sequence[Hit]) -> Checked:
    """Drop echoed fences and marks of sources that do not exist; where none is left, add its origins.

    A small model often answers from a source without saying so. Each sentence is then attributed to the source that
    holds most of its content words, if that is at least GROUNDED of them, and the marks are put at the end; a text
    that no source supports stays unmarked.
    """
    valid = range(1, len(sources) + 1)
    unfenced = FENCE.sub("", text)
    cited: dict[int, None] = {}

    def kept(mark: re.Match[str]) -> str:
        asked = list(map(int, mark[1].split(",")))
        numbers = [number for number in asked if number in valid]
        before = unfenced[mark.start() - 1 : mark.start()]
        if numbers != asked and before.isalnum() and mark[0].startswith("["):
            return mark[0]  # a subscript, such as arr[5]
        cited.update(dict.fromkeys(numbers))
        space = mark[0][: mark[0].index("[")]
        return f"{space}[{', '.join(map(str, numbers))}]" if numbers else ""

    cleaned = _MARK.sub(kept, unfenced).strip()
    if cited or not cleaned:
        return Checked(cleaned, tuple(cited))
    origins = (_origin(sentence, sources) for sentence in _SENTENCE_END.split(cleaned))
    found = tuple(sorted({origin for origin in origins if origin is not None}))
    return Checked(" ".join([cleaned, *(f"[{number}]" for number in found)]), found)


def _origin(sentence: str, sources: Sequence[Hit]) -> int | None:
    words = _content_words(sentence)
    if len(words) < FEWEST_WORDS:
        return None
    shares = [len(words & _content_words(f"{hit.title} {hit.text}")) / len(words) for hit in sources]
    best = max(range(len(shares)), key=shares.__getitem__, default=None)
    return best + 1 if best is not None and shares[best] >= GROUNDED else None


def _content_words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.casefold()) if len(word) >= SHORTEST_WORD}
