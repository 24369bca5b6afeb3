"""Compares two ways to do one thing on a machine that others use too.

A and B run in turn, in alternating order, so that both meet the same load; the result is the median of the rounds' own
ratios. Judges nothing: a bench names its goal and prints both.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Measure: TypeAlias = Callable[[], float]  # does the thing once, returns its cost


@dataclass(frozen=True, slots=True)
class Paired:
    """Costs of A and B by round, in `unit`."""

    a: tuple[float, ...]
    b: tuple[float, ...]
    unit: str

    @property
    def ratio(self) -> float:
        """Median over the rounds of A's cost by B's."""
        return median(self._ratios)

    @property
    def _ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.a, self.b, strict=True)]

    def document(self) -> dict[str, object]:
        """Spell the comparison as JSON; the quartiles say how much the ratio moves."""
        low, _, high = quantiles(self._ratios, n=4)
        return {
            "rounds": len(self.a),
            "unit": self.unit,
            "a": median(self.a),
            "b": median(self.b),
            "ratio": round(self.ratio, 4),
            "ratioQuartiles": [round(low, 4), round(high, 4)],
        }


def paired(a: Measure, b: Measure, *, rounds: int, unit: str = "s", warmups: int = 2) -> Paired:
    """Run A and B in turn `rounds` times, after `warmups` that don't count."""
    costs: dict[Measure, list[float]] = {a: [], b: []}
    for at in range(-warmups, rounds):
        for measure in (a, b) if at % 2 else (b, a):
            cost = measure()
            if at >= 0:
                costs[measure].append(cost)
    return Paired(tuple(costs[a]), tuple(costs[b]), unit)


def cpu_s(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Measure:
    """CPU seconds, user and system, of a command and all that it starts."""

    def measure() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environ, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    return measure


def wall_s(work: Callable[[], object]) -> Measure:
    """Wall-clock seconds of a call in this process."""

    def measure() -> float:
        started = perf_counter()
        work()
        return perf_counter() - started

    return measure


def cpu_here_s(work: Callable[[], object]) -> Measure:
    """CPU seconds of a call in this process, all its threads together."""

    def measure() -> float:
        started = process_time()
        work()
        return process_time() - started

    return measure


def environment(*distributions: str) -> dict[str, object]:
    """What a reader needs to judge the figures: the machine, its load, and the versions of `distributions`."""
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "loadAverage": [round(load, 2) for load in os.getloadavg()],
        "writesBytecode": not sys.dont_write_bytecode,  # PYTHONDONTWRITEBYTECODE: nothing of ours would be cached
        "versions": {name: version(name) for name in distributions},
    }
