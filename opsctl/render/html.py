"""The sheet as one self-contained page with its charts: nothing is fetched, it reads on a phone and in the dark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from opsctl.sheet import Bars, Curves, Usd

if TYPE_CHECKING:
    from opsctl.sheet import Sheet

WIDTH, HEIGHT = 640, 320
LEFT, BOTTOM, TOP, RIGHT = 64, 40, 12, 12
GRID_LINES = 5
NICE_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class _Bar:
    label: str
    amount: str
    percent: float


@dataclass(frozen=True, slots=True)
class _Mark:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class _Plot:
    """A line chart in the units of its view box."""

    lines: tuple[tuple[str, str], ...]  # name, points of a polyline
    across: tuple[_Mark, ...]
    down: tuple[_Mark, ...]


def render(sheet: Sheet) -> str:
    """Every cell and note of the sheet, details included."""
    environment = Environment(
        loader=PackageLoader("opsctl.render", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    charts = [
        {"title": chart.title, "bars": _bars(chart)}
        if isinstance(chart, Bars)
        else {"title": chart.title, "plot": _plot(chart), "x_label": chart.x_label}
        for chart in sheet.charts
    ]
    size = {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "bottom": HEIGHT - BOTTOM,
        "top": TOP,
    }
    return environment.get_template("page.html.j2").render(sheet=sheet, charts=charts, size=size)


def _bars(chart: Bars) -> list[_Bar]:
    longest = max(chart.amounts.values(), default=Decimal()) or Decimal(1)
    return [_Bar(label, str(Usd(usd)), float(100 * usd / longest)) for label, usd in chart.amounts.items()]


def _plot(chart: Curves) -> _Plot:
    points = [point for line in chart.lines.values() for point in line]
    scale = math.log10 if chart.logarithmic else float
    low, high = (scale(float(end(x for x, _ in points))) for end in (min, max))
    width = (high - low) or 1.0
    highest = float(max(y for _, y in points)) or 1.0  # of an edge alone all are 0
    step = _nice(highest / GRID_LINES)
    top = step * math.ceil(highest / step)

    def across(x: float) -> float:
        return LEFT + (scale(x) - low) / width * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        return HEIGHT - BOTTOM - y / top * (HEIGHT - BOTTOM - TOP)

    return _Plot(
        lines=tuple(
            (name, " ".join(f"{across(float(x)):.1f},{down(float(y)):.1f}" for x, y in line))
            for name, line in chart.lines.items()
        ),
        across=tuple(_Mark(across(x), label) for x, label in _ticks(low, high, logarithmic=chart.logarithmic)),
        down=tuple(_Mark(down(step * n), _spelled(step * n)) for n in range(round(top / step) + 1)),
    )


def _ticks(low: float, high: float, *, logarithmic: bool) -> list[tuple[float, str]]:
    if logarithmic:
        return [(10.0**power, f"{10**power:,}") for power in range(math.ceil(low), math.floor(high) + 1)]
    step = _nice((high - low) / GRID_LINES)
    return [(step * n, _spelled(step * n)) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _spelled(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,g}"


def _nice(step: float) -> float:
    """The next step up that people count in."""
    magnitude = 10.0 ** math.floor(math.log10(max(step, 1e-9)))
    return next(nice * magnitude for nice in NICE_STEPS if nice * magnitude >= step)
