"""A sheet's charts as Mermaid blocks, which pull requests and READMEs draw."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from opsctl.sheet import Bars

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opsctl.sheet import Curves

POINTS = 9  # labels of an axis that stay apart
SCALES = ((Decimal(10) ** 9, "G"), (Decimal(10) ** 6, "M"), (Decimal(1000), "k"))
DIGITS = 3


def blocks(charts: Iterable[Bars | Curves]) -> list[str]:
    """One block for each chart that has something to draw."""
    drawn = [_bars(chart) if isinstance(chart, Bars) else _curves(chart) for chart in charts]
    return [block for block in drawn if block]


def _bars(chart: Bars) -> str:
    if not any(chart.amounts.values()):
        return ""
    return _block(chart.title, [*chart.amounts], [("bar", [*chart.amounts.values()])])


def _curves(chart: Curves) -> str:
    """Points at even ratios, so the axis is logarithmic though its labels are words."""
    lines = [_spread(points) for points in chart.lines.values()]
    names = f" ({', '.join(chart.lines)})" if len(lines) > 1 else ""
    labels = [_short(x) for x, _ in lines[0]]
    return _block(f"{chart.title}{names}", labels, [("line", [usd for _, usd in line]) for line in lines])


def _block(title: str, labels: Sequence[str], series: Sequence[tuple[str, Sequence[Decimal]]]) -> str:
    top = max(usd for _, amounts in series for usd in amounts)
    quoted = ", ".join(f'"{label}"' for label in labels)
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            f'  title "{title}"',
            f"  x-axis [{quoted}]",
            f'  y-axis "USD" 0 --> {_whole(top) + 1}',
            *(f"  {kind} [{', '.join(str(_whole(usd)) for usd in amounts)}]" for kind, amounts in series),
            "```",
        ]
    )


def _spread(points: Sequence[tuple[Decimal, Decimal]]) -> list[tuple[Decimal, Decimal]]:
    last = len(points) - 1
    return [points[number] for number in sorted({round(n * last / (POINTS - 1)) for n in range(POINTS)})]


def _short(x: Decimal) -> str:
    """Three digits and the scale: 31.7k."""
    rounded = Decimal(f"{x:.{DIGITS}g}")  # first, or 999,950 would be 1.00E+3k
    scale, letter = next((each for each in SCALES if rounded >= each[0]), (Decimal(1), ""))
    return f"{(rounded / scale).normalize():f}{letter}"


def _whole(usd: Decimal) -> Decimal:
    return usd.quantize(Decimal(1), ROUND_HALF_UP)
