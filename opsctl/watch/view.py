"""Two readings as rows: what happened between them. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsctl.watch.scrape import Reading

STAGES = ("self_query", "query_expansion", "retrieval", "reranking", "generation", "total")
COUNTED = {
    "status": ("requests_total", "status"),
    "served by": ("requests_total", "served_by"),
    "error": ("errors_total", "cause"),
    "degraded": ("degraded_total", "stage"),
    "cache": ("cache_requests_total", "outcome"),
}
Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """From one reading to the next; a service that was restarted in between counts from zero."""

    before: Reading
    now: Reading

    @property
    def minutes(self) -> float:
        """Between them, and never none."""
        return max(self.now.at_s - self.before.at_s, 0.001) / 60

    def grown(self, name: str, **labels: str) -> float:
        """By how much a counter grew."""
        new, old = self.now.total(name, **labels), self.before.total(name, **labels)
        return new if new < old else new - old

    def by(self, name: str, label: str) -> dict[str, float]:
        """How much a counter grew, by one of its labels; what stood still is left out."""
        values = sorted({labels[label] for labels, _ in self.now.of(name) if label in labels})
        return {value: grown for value in values if (grown := self.grown(name, **{label: value}))}


def rows(span: Span) -> list[Row]:
    """Group, what, how much."""
    found: list[Row] = [
        ("requests", "a minute", f"{span.grown('requests_total') / span.minutes:.1f}"),
        ("requests", "in flight", f"{span.now.total('concurrent_requests'):.0f}"),
        ("requests", "waiting for another's answer", f"{span.now.total('queue_depth'):.0f}"),
    ]
    for group, (name, label) in COUNTED.items():
        found += [(group, value, f"{count:.0f}") for value, count in span.by(name, label).items()]
    found += [
        ("cache", outcome, f"{count:.0f}") for outcome, count in span.by("cache_requests_total", "outcome").items()
    ]
    for stage in STAGES:
        count = span.grown(f"{stage}_latency_ms_count")
        if count:
            found.append(("mean time", stage, f"{span.grown(f'{stage}_latency_ms_sum') / count:.0f} ms"))
    found += [("breaker", name, state) for name, state in sorted(_breakers(span.now).items()) if state != "closed"]
    return found


def document(span: Span) -> dict[str, object]:
    """The same as JSON: groups of names and values; a public contract, version 1."""
    groups: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for group, what, value in rows(span):
        groups[group][what] = value
    return {"version": 1, "seconds": round(span.minutes * 60, 3), "groups": dict(groups)}


def _breakers(reading: Reading) -> dict[str, str]:
    return {labels["dependency"]: labels["state"] for labels, value in reading.of("breaker_state") if value == 1}
