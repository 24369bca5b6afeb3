"""What happened to one request: time per stage, what was skipped or degraded, tokens and spend."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from service.errors import CircuitOpen, EndpointAsleep, Unreachable, UpstreamExhausted, UpstreamThrottled
from service.ports import Usage
from service.prices import TokenPrice
from service.rag.spending import Charge, begin

UNBILLED = (CircuitOpen, EndpointAsleep, Unreachable, UpstreamExhausted, UpstreamThrottled)
STAGES = ("self_query", "query_expansion", "retrieval", "reranking", "generation")
OTHERS = ("cache", "documents", "edge", "cloud")  # what an answer may do without besides


@dataclass(slots=True)
class Trace:
    """Filled while the request runs; read once at its end.

    Attributes:
        spans: per stage, when it first began and last ended, on the clock of `time.perf_counter`.
        used: tokens per stage, whose sum is `usage`.
        charges: one per paid call.
        waiting: the request does nothing but wait for another's identical answer.
        question: what was asked and `answer` what was said; telemetry gives them away only where a setting says so.
    """

    started: float = field(default_factory=time.perf_counter)
    stage_ms: dict[str, float] = field(default_factory=dict)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    used: dict[str, Usage] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)
    cache: Literal["hit", "miss"] | None = None
    waiting: bool = False
    served_by: Literal["edge", "cloud"] | None = None
    model: str = ""
    question: str = ""
    answer: str = ""

    def timing(self, stage: str) -> Timing:
        """Add the time of the block to `stage`."""
        return Timing(self, stage)

    def took(self, stage: str, start: float, end: float) -> None:
        """`stage` ran between these, on the clock of `time.perf_counter`."""
        self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + (end - start) * 1000
        self.spans[stage] = (self.spans.get(stage, (start,))[0], end)

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """The block does nothing but wait for another request."""
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False

    @property
    def ran(self) -> bool:
        """The request came as far as a pipeline or a kept answer."""
        return bool(self.stage_ms) or self.cache is not None

    def skip(self, stage: str) -> None:
        """`stage` is not configured, or an operator turned it off."""
        self.skipped.append(stage)

    def degrade(self, stage: str) -> None:
        """`stage` failed and the answer does without it."""
        if stage not in self.degraded:
            self.degraded.append(stage)

    def withhold(self, what: str) -> None:
        """The answer's `what` did not leave: a sign of an attack, or of a model that lost its way."""
        self.withheld.append(what)

    def use(self, stage: str, usage: Usage) -> None:
        """The model of `stage` counted these tokens."""
        self.used[stage] = self.used.get(stage, Usage()) + usage
        self.usage += usage

    @contextmanager
    def charging(self, price: TokenPrice | None, at_most: Usage) -> Iterator[Charge]:
        """The block makes a paid call, which may be billed although it fails; what surely did nothing costs nothing."""
        charge = begin(price, at_most)
        self.charges.append(charge)
        try:
            yield charge
        except UNBILLED:
            charge.usd = Decimal(0)
            raise

    @property
    def cost_usd(self) -> Decimal | None:
        """What the paid calls cost; None where that of one is not known, and never 0."""
        known = [charge.usd for charge in self.charges if charge.usd is not None]
        return sum(known, Decimal(0)) if len(known) == len(self.charges) else None

    @property
    def owed_usd(self) -> Decimal:
        """The same for a limit: a call whose cost is not known counts as the most that it can have cost."""
        return sum((charge.owed_usd for charge in self.charges), Decimal(0))

    def timings_ms(self) -> dict[str, float]:
        """Milliseconds per stage (0 where it did not run) and in all, keys as in the HTTP contract."""
        timings = {f"{stage}_ms": round(self.stage_ms.get(stage, 0.0), 3) for stage in STAGES}
        timings["total_ms"] = round((time.perf_counter() - self.started) * 1000, 3)
        return timings


class Timing:
    """A block that is timed; a class, since an answer has one per piece and a generator would cost three times it."""

    __slots__ = ("_stage", "_start", "_trace")

    def __init__(self, trace: Trace, stage: str) -> None:
        self._trace = trace
        self._stage = stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._trace.took(self._stage, self._start, time.perf_counter())
