"""Edge or cloud: a question stays on the edge unless it is hard for the edge and privacy lets it leave.

Deciding is pure; the pipeline tries the answerers in the order that this module gives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG_WORDS = 60  # beyond it a question carries a task that a small model loses track of
SUB_QUESTIONS = 2
SURE_SCORE = 0.35  # best cosine below it: the edge's documents hardly cover the question
DEADLINE_SHARE = 0.8  # an expected answer time beyond this share of what is left is a risk
CLOUD_RESERVE = 0.35  # share of the time left that the edge leaves for the cloud to answer after it

_QUESTION_END = re.compile(r"\?(?=\s|$)")
_ENUMERATED = re.compile(r"^\s*(?:\d+[.)]|[-*])\s", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice depends on; times in seconds."""

    text: str
    best_score: float
    expected_s: float
    remaining_s: float


def reasons_for_cloud(situation: Situation) -> list[str]:
    """Why the question is hard for the edge; empty where it is not."""
    asked = max(len(_QUESTION_END.findall(situation.text)), len(_ENUMERATED.findall(situation.text)))
    checks = {
        "long": len(situation.text.split()) > LONG_WORDS,
        "sub-questions": asked >= SUB_QUESTIONS,
        "low score": situation.best_score < SURE_SCORE,
        "deadline": situation.expected_s > DEADLINE_SHARE * situation.remaining_s,
    }
    return [reason for reason, holds in checks.items() if holds]


def order(reasons: Sequence[str], *, cloud_allowed: bool) -> tuple[str, ...]:
    """Who is tried, in order: each is the other's fallback, and nothing leaves where privacy forbids it."""
    if not cloud_allowed:
        return ("edge",)
    return ("cloud", "edge") if reasons else ("edge", "cloud")


class Load:
    """How long an answer takes here now: a moving average that has the wait for the decoder in it."""

    WEIGHT = 0.3  # of the newest observation

    def __init__(self) -> None:
        self._average_s = 0.0

    def expected_s(self) -> float:
        """Seconds until an answer that starts now is complete; 0 before the first observation."""
        return self._average_s

    def observe(self, seconds: float) -> None:
        """An answer waited `seconds` for its model in all."""
        known = self._average_s or seconds
        self._average_s = (1 - self.WEIGHT) * known + self.WEIGHT * seconds
