"""How many queries a month a stack can answer, and what gives out first."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsctl.cost.components import Situation

MINUTES_PER_HOUR = 60
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Limit:
    """What gives out, and at how many queries a month."""

    what: str
    queries: Decimal


def limits(at: Situation) -> list[Limit]:
    """The limits of a stack, the nearest first; peaks are `peak_to_average_ratio` above the mean."""
    peak = max(at.usage.amount("peak_to_average_ratio"), Decimal(1))
    return sorted((Limit(what, queries / peak) for what, queries in _limits(at)), key=lambda limit: limit.queries)


def _limits(at: Situation) -> Iterator[tuple[str, Decimal]]:
    cfg = at.cfg
    if cfg.topology in {"ecs", "eks"}:
        replicas, measured = cfg.service.replicas.max, at.usage.figures.requests_per_minute_per_replica
        rate = measured.value if measured else Decimal(cfg.scaling.requests_per_minute)
        what = f"{replicas} replicas at {rate:f} requests a minute{', as measured' if measured else ''}"
        yield what, replicas * rate * MINUTES_PER_HOUR * at.hours
    if cfg.topology == "lambda" and cfg.lambda_.reserved_concurrency is not None:
        seconds, most = at.usage.amount("function_seconds_per_query"), cfg.lambda_.reserved_concurrency
        if seconds:
            yield f"{most} functions at once of {seconds:f} s a query", most * at.hours * SECONDS_PER_HOUR / seconds
    if cfg.topology == "lambda":
        passed = Decimal(str(cfg.lambda_.throttle.requests_per_second))
        yield f"{passed.normalize():f} requests a second through the API", passed * at.hours * SECONDS_PER_HOUR
    if cfg.topology != "hybrid" and cfg.generation.provider == "sagemaker":
        speed, scaling = at.usage.amount("tokens_per_second_per_instance"), cfg.generation.scaling
        per_query = at.usage.amount("generation_output_tokens_per_query")
        awake = at.hours if scaling.min else min(at.hours, at.usage.amount("active_hours_per_month"))
        if per_query:
            what = f"{scaling.max} x {cfg.generation.instance_type} at {speed:f} tokens/s"
            yield what, speed * scaling.max * awake * SECONDS_PER_HOUR / per_query
