"""One reading of /metrics: Prometheus text as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIMIT_S = 5.0
Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Reading:
    """Samples by name and labels, and when they were read."""

    samples: Mapping[Key, float]
    at_s: float

    def of(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        """Labels and value of each sample of a metric."""
        return ((dict(labels), value) for (found, labels), value in self.samples.items() if found == name)

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples that carry these labels."""
        return sum(value for found, value in self.of(name) if labels.items() <= found.items())


def parse(text: str, at_s: float) -> Reading:
    """Read Prometheus's text format.

    Raises:
        ValueError: it is something else.
    """
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return Reading(samples, at_s)


def read(url: str) -> Reading:
    """Ask once.

    Raises:
        CheckFailed: nobody answers there, or something that is no metrics.
    """
    fix = "is the service up? `make up`; its port is hybrid.edge.metricsPort of the stack config"
    try:
        response = httpx.get(url, timeout=LIMIT_S, trust_env=False)
        response.raise_for_status()
        reading = parse(response.text, monotonic())
    except (httpx.HTTPError, ValueError) as exc:
        raise CheckFailed(f"{url} gives no metrics: {exc}", next_step=fix) from exc
    if not any(name == "requests_total" or name.startswith("build_info") for name, _ in reading.samples):
        raise CheckFailed(f"{url} gives metrics of something else", next_step=fix)
    return reading
