"""Run the benches and print their figures beside their goals.

    python bench/run.py [NAME ...] [--strict]

Each report goes to bench/results/NAME.json. A missed goal is printed, and no failure unless --strict says so: the exit
code is 1 only where a bench itself failed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import traceback
from pathlib import Path

from figures import Report, Skipped
from rich.console import Console
from rich.table import Table

BENCHES = (
    "cli",
    "coldstart",
    "cost",
    "edge",
    "embed",
    "export",
    "image_start",
    "ingest",
    "load",
    "memory",
    "overhead",
    "peers",
    "retrieval",
    "tokens",
)
RESULTS = Path(__file__).with_name("results")
VERDICTS = {True: "[green]yes[/]", False: "[bold red]NO[/]", None: ""}


def main() -> int:
    parser = argparse.ArgumentParser(description="Paired benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(BENCHES)}; default: all")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a goal is missed or a bench was skipped")
    parser.add_argument("--soak-minutes", type=float, default=10.0, help="of the bench load; default: %(default)g")
    options = parser.parse_args()
    names = options.names or BENCHES
    if unknown := set(names) - set(BENCHES):
        parser.error(f"no bench {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    talk = Console(stderr=True)
    RESULTS.mkdir(exist_ok=True)
    reports: dict[str, Report] = {}
    for name in names:
        talk.print(f"{name} ...")
        reports[name] = _run(name, {"soak_minutes": options.soak_minutes} if name == "load" else {})
        (RESULTS / f"{name}.json").write_text(json.dumps(reports[name], indent=2) + "\n", encoding="utf-8")
    missed = _print(reports)
    failed = any("failed" in report for report in reports.values())
    skipped = any("skipped" in report for report in reports.values())
    return int(failed or (options.strict and (missed > 0 or skipped)))


def _run(name: str, options: dict[str, float]) -> Report:
    try:
        report: Report = importlib.import_module(name).run(**options)
    except Skipped as exc:
        return {"skipped": str(exc)}
    except Exception as exc:  # noqa: BLE001 - the other benches still have their say
        traceback.print_exc()
        return {"failed": f"{type(exc).__name__}: {exc}"}
    return report


def _print(reports: dict[str, Report]) -> int:
    """Print all figures; how many goals were missed."""
    table = Table("bench", "figure", "value", "unit", "goal", "met")
    for name, report in reports.items():
        for figure in report.get("figures", ()):
            table.add_row(
                name,
                figure["figure"],
                f"{figure['value']:g}",
                figure["unit"],
                figure["goal"] or "",
                VERDICTS[figure["met"]],
            )
        for outcome in ("skipped", "failed"):
            if outcome in report:
                table.add_row(name, f"{outcome}: {report[outcome]}")
    missed = [figure for report in reports.values() for figure in report.get("figures", ()) if figure["met"] is False]
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    console.print(f"{len(missed)} goal(s) missed" if missed else "every goal met")
    return len(missed)


if __name__ == "__main__":
    sys.exit(main())
