"""The budgets that no setting holds, and those of the platform around the service.

The others are settings (`*_timeout_s`, `deadline_s`, `graceful_s`). A test holds the inequalities between all of them,
and docs/operations.md shows the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.settings import Settings

GATEWAY_S = 30.0  # an HTTP API's integration time-out, which can't be raised
BALANCER_IDLE_S = 60.0
KEEP_ALIVE_S = 75.0  # above the load balancer's idle time, else a reused connection is a stray 502
STOP_S = 45.0  # stop timeout of a task, grace period of a pod: SIGKILL after it
PRE_STOP_S = 10.0  # a pod waits this long before SIGTERM, since its address is taken out concurrently
LINGER_S = 2.0  # after SIGTERM open connections are still served, so that peers leave them by themselves

EMBED_S = 5.0  # all wordings; it is our own CPU, so less would refuse what a busy machine still answers
LOOKUP_S = 1.0  # author ids, both tries; above the adapter's own limit, which is meant to end first
LOOKUP_TRIES = 2
CACHE_S = 1.0  # per call; above the adapter's own limit too
CACHE_WAITS = 4  # on the socket in one call: to connect, to log in, to select, to ask

FIRST_TOKEN_S = 8.0
GENERATION_S = 20.0


def lookup_s(settings: Settings) -> float:
    """Author ids; a MongoDB that may take its time may do so here too."""
    return max(LOOKUP_S, LOOKUP_TRIES * settings.mongo_timeout_s)


def cache_s(settings: Settings) -> float:
    """Per call; a Redis that may take its time may do so here too."""
    return max(CACHE_S, CACHE_WAITS * settings.redis_timeout_s)


@dataclass(frozen=True, slots=True)
class GenerationBudget:
    """Seconds until the model's first token, and until its last one."""

    first_token_s: float
    whole_s: float

    @classmethod
    def of_generator(cls, settings: Settings) -> GenerationBudget:
        """llama.cpp decodes one answer at a time, so a request may wait for others: only its deadline limits it."""
        if settings.generator == "llamacpp":
            return cls(settings.first_token_timeout_s or settings.deadline_s, settings.deadline_s)
        return cls.of_vendor(settings)

    @classmethod
    def of_vendor(cls, settings: Settings) -> GenerationBudget:
        """A model behind a vendor's API, the fallback among them."""
        return cls(settings.first_token_timeout_s or FIRST_TOKEN_S, GENERATION_S)
