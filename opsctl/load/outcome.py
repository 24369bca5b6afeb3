"""How a request ended, in the classes that a load test counts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum


class Outcome(StrEnum):
    """Each request has exactly one."""

    OK = "ok"
    DEGRADED = "degraded"  # 200 that says which stage was done without
    RATE_LIMITED = "429"
    OVERLOADED = "503"  # too many requests in flight: refused before any work
    UNAVAILABLE = "unavailable"  # 503 that names the stage that failed
    OTHER = "other"
    TIMEOUT = "timeout"
    CONNECT_ERROR = "connectError"
    CUT = "cut"  # the connection broke, a stream ended without `done`, or said `error`
    UNSENT = "unsent"  # the driver's own bound on open requests was reached


GOOD = frozenset({Outcome.OK, Outcome.DEGRADED})
REFUSED = frozenset({Outcome.RATE_LIMITED, Outcome.OVERLOADED})
TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE = 429, 503


@dataclass(frozen=True, slots=True)
class Ending:
    """What one request came to.

    Attributes:
        first_token_s: on the event loop's clock; None unless a stream brought a token.
        cached: the answer says that it was kept.
        usd: what the answer says that it cost; None where it doesn't.
    """

    outcome: Outcome
    first_token_s: float | None = None
    cached: bool = False
    usd: Decimal | None = None


def of_problem(status: int, problem: object) -> Outcome:
    """The outcome of a status that is no success; `problem` is its body as JSON, where it is some."""
    if status == TOO_MANY_REQUESTS:
        return Outcome.RATE_LIMITED
    if status != SERVICE_UNAVAILABLE:
        return Outcome.OTHER
    return Outcome.UNAVAILABLE if isinstance(problem, dict) and problem.get("stage") else Outcome.OVERLOADED


def of_answer(body: object, first_token_s: float | None = None) -> Ending:
    """The ending of a whole answer, from what it says of itself."""
    said = body if isinstance(body, dict) else {}
    outcome = Outcome.DEGRADED if said.get("degraded") else Outcome.OK
    return Ending(outcome, first_token_s, cached=bool(said.get("cached")), usd=_cost(said.get("usage")))


def _cost(usage: object) -> Decimal | None:
    said = usage.get("costUsd") if isinstance(usage, dict) else None
    try:
        return Decimal(said) if isinstance(said, str) else None
    except InvalidOperation:
        return None
