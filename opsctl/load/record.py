"""What a run saw, counted as it goes: HDR histograms, so that a million latencies take no more room than ten."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from hdrh.histogram import HdrHistogram

from opsctl.load.outcome import GOOD, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

US_PER_S = 1_000_000
MAX_US = 600 * US_PER_S  # what is slower is counted as this slow
DIGITS = 3
WINDOW_DIGITS = 2
MAX_WINDOWS = 600


class Latencies:
    """A histogram of durations in seconds, good to `digits` significant ones."""

    def __init__(self, digits: int = DIGITS) -> None:
        self._digits = digits
        self._histogram = HdrHistogram(1, MAX_US, digits)

    def add(self, seconds: float) -> None:
        """Count one."""
        self._histogram.record_value(min(MAX_US, max(1, round(seconds * US_PER_S))))

    def merge(self, others: Iterable[Latencies]) -> Latencies:
        """This one with `others` counted in."""
        for other in others:
            self._histogram.add(other._histogram)  # noqa: SLF001 - its own kind
        return self

    @property
    def count(self) -> int:
        """How many were added."""
        return int(self._histogram.total_count)

    def percentile_ms(self, percentile: float) -> float:
        """The latency that `percentile` percent don't exceed; 0 where there is none."""
        return float(self._histogram.get_value_at_percentile(percentile)) / 1000 if self.count else 0.0

    def max_ms(self) -> float:
        """The slowest."""
        return float(self._histogram.get_max_value()) / 1000 if self.count else 0.0

    def mean_ms(self) -> float:
        """The mean."""
        return float(self._histogram.get_mean_value()) / 1000 if self.count else 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One request.

    Attributes:
        at_s: when it was meant to start, after the start of the run.
        latency_s: from then to its end, so that a request that could not start in time has waited as well.
        lag_s: how late the driver sent it.
        first_token_s: from when it was meant to start to the first token.
        usd: what a good answer says that it cost.
    """

    outcome: Outcome
    at_s: float
    latency_s: float
    lag_s: float = 0.0
    first_token_s: float | None = None
    cached: bool = False
    key: str | None = None
    usd: Decimal | None = None


class Tally:
    """Requests counted by outcome, with the latencies of each."""

    def __init__(self, digits: int = DIGITS) -> None:
        self._digits = digits
        self.latencies: dict[Outcome, Latencies] = {}

    def add(self, sample: Sample) -> None:
        """Count one."""
        self.latencies.setdefault(sample.outcome, Latencies(self._digits)).add(sample.latency_s)

    def count(self, outcomes: Collection[Outcome] = tuple(Outcome)) -> int:
        """How many ended in one of `outcomes`."""
        return sum(seen.count for outcome, seen in self.latencies.items() if outcome in outcomes)

    def of(self, outcomes: Collection[Outcome] = GOOD) -> Latencies:
        """Their latencies together."""
        seen = (latencies for outcome, latencies in self.latencies.items() if outcome in outcomes)
        return Latencies(self._digits).merge(seen)


@dataclass(slots=True)
class Record:
    """All that a run saw.

    Attributes:
        window_s: length of the equal stretches of the run that are counted apart.
        usd: what the answers cost, as far as they say it; `unpriced` is how many good ones don't.
        stopped: why the run ended before its schedule did.
        spent_out: whether that was the spending cap, so that what is missing says nothing about the service.
    """

    window_s: float
    total: Tally = field(default_factory=Tally)
    lag: Latencies = field(default_factory=Latencies)
    first_token: Latencies = field(default_factory=Latencies)
    keys: dict[str, Tally] = field(default_factory=dict)
    windows: dict[int, Tally] = field(default_factory=dict)
    cached: int = 0
    usd: Decimal = Decimal()
    unpriced: int = 0
    wall_s: float = 0.0
    stopped: str | None = None
    spent_out: bool = False

    @classmethod
    def lasting(cls, seconds: float) -> Record:
        """An empty record for a run of `seconds`: windows of a second, or of more where there would be too many."""
        return cls(window_s=max(1.0, seconds / MAX_WINDOWS))

    def add(self, sample: Sample) -> None:
        """Count one request everywhere."""
        self.total.add(sample)
        self.windows.setdefault(int(sample.at_s / self.window_s), Tally(WINDOW_DIGITS)).add(sample)
        if sample.outcome is not Outcome.UNSENT:
            self.lag.add(sample.lag_s)
        if sample.key is not None:
            self.keys.setdefault(sample.key, Tally()).add(sample)
        if sample.first_token_s is not None:
            self.first_token.add(sample.first_token_s)
        if sample.cached:
            self.cached += 1
        if sample.outcome in GOOD:
            self.usd += sample.usd or 0
            self.unpriced += sample.usd is None

    def latest(self, seconds: float) -> list[Tally]:
        """What was meant to start in the last `seconds` that anything is known of, in whole windows."""
        if not self.windows:
            return []
        last = max(self.windows)
        first = last - max(1, round(seconds / self.window_s)) + 1
        return [tally for number, tally in self.windows.items() if number >= first]
