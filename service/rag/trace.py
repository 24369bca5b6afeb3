"""What happened to one request: time per stage, what was skipped or degraded, tokens and spend."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from service.ports import Usage

STAGES = ("self_query", "query_expansion", "retrieval", "reranking", "generation")


@dataclass(slots=True)
class Trace:
    """Filled while the request runs; read once at its end."""

    started: float = field(default_factory=time.perf_counter)
    stage_ms: dict[str, float] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal | None = field(default_factory=Decimal)

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add the time of the block to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + (time.perf_counter() - start) * 1000

    def skip(self, stage: str) -> None:
        """`stage` is not configured, or an operator turned it off."""
        self.skipped.append(stage)

    def degrade(self, stage: str) -> None:
        """`stage` failed and the answer does without it."""
        if stage not in self.degraded:
            self.degraded.append(stage)

    def add_cost(self, usd: Decimal | None) -> None:
        """A paid call was made; None where its price is not known: then the sum is not known either, and never 0."""
        self.cost_usd = None if usd is None or self.cost_usd is None else self.cost_usd + usd

    def timings_ms(self) -> dict[str, float]:
        """Milliseconds per stage (0 where it did not run) and in all, keys as in the HTTP contract."""
        timings = {f"{stage}_ms": round(self.stage_ms.get(stage, 0.0), 3) for stage in STAGES}
        timings["total_ms"] = round((time.perf_counter() - self.started) * 1000, 3)
        return timings
