"""A service on loopback in AWS's place: what each JSON operation answers, and what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.unit.opsctl.conftest import Reply

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import PlayedService

Answer = dict[str, Any] | Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class PlayedAws:
    """Answers by operation; one that nobody said is refused, and so seen.

    Attributes:
        refusals: code and message of those that are refused.
        asked: operation and body of each call, in order.
    """

    service: PlayedService
    answers: dict[str, Answer] = field(default_factory=dict)
    refusals: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.service.answers["/"] = self._answer

    def bodies(self, operation: str) -> list[dict[str, Any]]:
        return [body for name, body in self.asked if name == operation]

    def _answer(self, body: dict[str, Any]) -> Reply:
        operation = self.service.requests[-1][2]["X-Amz-Target"].rpartition(".")[2]
        self.asked.append((operation, body))
        answer = self.answers.get(operation)
        if answer is None:
            code, why = self.refusals.get(operation, ("AccessDeniedException", f"not allowed to {operation}"))
            return Reply(400, {"__type": code, "message": why})
        return Reply(body=answer(body) if callable(answer) else answer)
