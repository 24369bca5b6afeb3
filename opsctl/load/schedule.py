"""When requests start, as data: phases of a rate, and arrivals that are evenly spaced or random (Poisson).

Pure. The expected number of arrivals up to a time is the integral of the rate; an arrival time is the inverse of that,
taken at 0.5, 1.5, ... for even arrivals, and at the sums of unit exponentials for Poisson ones.
"""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_SECONDS = 4 * 3600.0
MAX_REQUESTS = 1_000_000
MAX_PER_S = 10_000.0

Rate = Annotated[float, Field(ge=0, le=MAX_PER_S, allow_inf_nan=False)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Phase(_Data):
    """A stretch of time whose rate is constant, or goes in a straight line from `from_per_s` to `per_s`.

    Attributes:
        name: for the reader: ramp, step, soak, spike.
    """

    name: Annotated[str, Field(min_length=1)] = "step"
    per_s: Rate
    from_per_s: Rate | None = None
    seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]

    @property
    def first_per_s(self) -> float:
        """The rate at the phase's start."""
        return self.per_s if self.from_per_s is None else self.from_per_s

    @property
    def expected(self) -> float:
        """Arrivals in the whole phase."""
        return self.seconds * (self.first_per_s + self.per_s) / 2

    def time_of(self, arrivals: float) -> float:
        """Seconds after the phase's start at which `arrivals` are expected; the inverse of the integrated rate."""
        first, slope = self.first_per_s, (self.per_s - self.first_per_s) / self.seconds
        # Solves slope/2 t^2 + first t = arrivals in the form that loses nothing where the slope is near 0.
        return 2 * arrivals / (first + math.sqrt(max(0.0, first**2 + 2 * slope * arrivals)))


class Schedule(_Data):
    """Phases, one after the other."""

    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    arrivals: Literal["poisson", "even"] = "poisson"
    seed: int = 0

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.seconds > MAX_SECONDS:
            raise ValueError(f"lasts {self.seconds:g} s, the most is {MAX_SECONDS:g} s")
        if not 1 <= self.expected <= MAX_REQUESTS:
            raise ValueError(f"expects {self.expected:g} requests; 1 to {MAX_REQUESTS} are allowed")
        return self

    @property
    def seconds(self) -> float:
        """From the first phase's start to the last one's end."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def expected(self) -> float:
        """Arrivals in all phases; the number itself where they are even, the mean where they are Poisson's."""
        return sum(phase.expected for phase in self.phases)

    def times(self) -> Iterator[float]:
        """Arrival times in seconds after the start, ascending; the same for the same seed."""
        marks = self._marks()
        mark, before, phase_start = next(marks), 0.0, 0.0
        for phase in self.phases:
            while mark < before + phase.expected:
                yield phase_start + phase.time_of(mark - before)
                mark = next(marks)
            before += phase.expected
            phase_start += phase.seconds

    def _marks(self) -> Iterator[float]:
        """Where arrivals lie on the axis of expected arrivals, on which every process has rate 1."""
        random = Random(self.seed)  # noqa: S311 - reproducible on purpose
        mark = 0.5 if self.arrivals == "even" else random.expovariate(1)
        while True:
            yield mark
            mark += 1 if self.arrivals == "even" else random.expovariate(1)


def steady(
    per_s: float, seconds: float, *, arrivals: Literal["poisson", "even"] = "poisson", seed: int = 0
) -> Schedule:
    """One rate for a while.

    Raises:
        NotUsable: beyond what the driver is meant for.
    """
    return _validated({"phases": [{"perS": per_s, "seconds": seconds}], "arrivals": arrivals, "seed": seed}, "--rate")


def load_schedule(path: Path) -> Schedule:
    """Read a schedule from YAML or JSON: `phases: [{name, fromPerS, perS, seconds}]`, `arrivals`, `seed`.

    Raises:
        NotUsable: the file can't be read or is no schedule.
    """
    try:
        document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise NotUsable(f"--schedule {path}: {exc}", next_step="give a readable YAML or JSON file") from exc
    return _validated(document, f"--schedule {path}")


def _validated(document: object, source: str) -> Schedule:
    try:
        return Schedule.model_validate(document)
    except ValidationError as exc:
        wrong = "; ".join(
            f"{'.'.join(map(str, error['loc'])) or 'schedule'}: {error['msg']}"
            for error in exc.errors(include_input=False)
        )
        raise NotUsable(f"{source}: {wrong}", next_step="see `opsctl load-test --help` for a schedule's shape") from exc
