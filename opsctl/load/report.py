"""A load test's report, for a reader and for a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.load.outcome import GOOD, Outcome
from opsctl.output import write_table

if TYPE_CHECKING:
    from rich.console import Console

    from opsctl.load.driver import Plan
    from opsctl.load.record import Latencies, Record, Tally

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
LATE_MS = 50.0  # above this the driver itself is what was slow


def document(plan: Plan, record: Record) -> dict[str, object]:
    """Spell the run as JSON; a public contract, version 1. Latencies count from the intended start, in ms."""
    return {
        "version": 1,
        "url": plan.target.url,
        "path": plan.asking.path,
        "stream": plan.asking.stream,
        "schedule": plan.schedule.model_dump(by_alias=True, mode="json", exclude_none=True),
        "wallS": round(record.wall_s, 3),
        "requests": record.total.count(),
        "goodPerS": round(record.total.count(GOOD) / record.wall_s, 3),
        "cached": record.cached,
        "usd": f"{record.usd:.6f}",
        "unpriced": record.unpriced,
        "stopped": record.stopped,
        "outcomes": _outcomes(record.total),
        "keys": {name: _outcomes(tally) for name, tally in record.keys.items()},
        "firstTokenMs": _percentiles(record.first_token),
        "driverLagMs": _percentiles(record.lag),
        "windowS": record.window_s,
        "windows": [
            {
                "atS": round(number * record.window_s, 3),
                "counts": {outcome: seen.count for outcome, seen in tally.latencies.items()},
                "goodP95Ms": round(tally.of(GOOD).percentile_ms(95), 1),
            }
            for number, tally in sorted(record.windows.items())
        ],
    }


def show(console: Console, plan: Plan, record: Record) -> None:
    """Print a line per outcome, then what qualifies them."""
    rows = [
        (outcome, str(seen.count), *(f"{seen.percentile_ms(p):.0f} ms" for p in PERCENTILES.values()))
        for outcome, seen in sorted(record.total.latencies.items())
    ]
    write_table(console, (f"{plan.target.url}{plan.asking.path}", "requests", *PERCENTILES), rows)
    console.print()
    for remark in remarks(record):
        console.print(remark)


def remarks(record: Record) -> list[str]:
    """What qualifies the figures."""
    good = record.total.count(GOOD)
    said = [
        (
            f"{good / record.wall_s:.1f} good answers per second over {record.wall_s:.0f} s, "
            f"{record.cached} of them from the cache"
        )
    ]
    if record.usd:
        more = f", and {record.unpriced} that don't say" if record.unpriced else ""
        said.append(f"the answers cost {record.usd:.6f} USD{more}")
    if record.stopped:
        said.append(f"stopped after {record.wall_s:.0f} s: {record.stopped}")
    if record.first_token.count:
        said.append(f"first token after {record.first_token.percentile_ms(50):.0f} ms (p50)")
    if record.lag.percentile_ms(99) > LATE_MS or record.total.count({Outcome.UNSENT}):
        said.append(
            f"the driver was itself late (p99 {record.lag.percentile_ms(99):.0f} ms, "
            f"{record.total.count({Outcome.UNSENT})} unsent): lower the rate, or drive from another machine"
        )
    return said


def _outcomes(tally: Tally) -> dict[str, object]:
    return {
        outcome: {"count": seen.count, "latencyMs": _percentiles(seen)}
        for outcome, seen in sorted(tally.latencies.items())
    }


def _percentiles(seen: Latencies) -> dict[str, float] | None:
    if not seen.count:
        return None
    figures = {name: seen.percentile_ms(percentile) for name, percentile in PERCENTILES.items()}
    return {name: round(ms, 3) for name, ms in (figures | {"mean": seen.mean_ms(), "max": seen.max_ms()}).items()}
