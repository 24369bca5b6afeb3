"""Reports the fault table at the end of the run; `--fault-report PATH` demands every row and writes the figures."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.contract.conftest import library  # noqa: F401 - a fixture
from tests.faults.deployment import Cloud, Edge, cloud_service, edge_service
from tests.faults.rows import ROWS

FIGURES = "figures"
OUTCOMES = pytest.StashKey[dict[str, list[pytest.TestReport]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-report", type=Path, help="fail unless every row held, and write its figures as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(number): the row of the fault table that the test shows")


@pytest.fixture
def figures(record_property: Any) -> dict[str, float]:
    """What a row measured, by a name with its unit; for the report only."""
    measured: dict[str, float] = {}
    record_property(FIGURES, measured)
    return measured


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    mark = item.get_closest_marker("fault")
    if mark is not None and (report.when == "call" or not report.passed):
        item.config.stash.setdefault(OUTCOMES, defaultdict(list))[mark.args[0]].append(report)
    return report


def held(reports: list[pytest.TestReport]) -> bool:
    return bool(reports) and all(report.passed for report in reports)


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--fault-report", None)
    if path is None:
        return
    outcomes = session.config.stash.get(OUTCOMES, {})
    rows = {
        number: {
            "fault": row.fault,
            "outcome": row.outcome,
            "held": held(outcomes.get(number, [])),
            "figures": _figures(outcomes.get(number, [])),
        }
        for number, row in ROWS.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2) + "\n")
    if not all(row["held"] for row in rows.values()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(config: pytest.Config) -> None:
    if config.getoption("--fault-report", None) is None:
        return
    outcomes = config.stash.get(OUTCOMES, {})
    table = Table("row", "fault", "outcome", "held", "figures")
    for number, row in ROWS.items():
        reports = outcomes.get(number, [])
        shown = ", ".join(f"{name} {value:.3g}" for name, value in _figures(reports).items())
        table.add_row(number, row.fault, row.outcome, "yes" if held(reports) else "NO" if reports else "not run", shown)
    console = Console(width=200)
    console.print()
    console.print(table)
    console.print(f"{sum(held(outcomes.get(number, [])) for number in ROWS)} of {len(ROWS)} held")


def _figures(reports: list[pytest.TestReport]) -> dict[str, float]:
    return {
        name: value
        for report in reports
        for key, found in report.user_properties
        if key == FIGURES
        for name, value in found.items()
    }


@pytest.fixture(scope="session")
def cloud(library: Any, redis: Any, mongo: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:  # noqa: F811
    with cloud_service(library, redis, mongo, tmp_path_factory.mktemp("cloud")) as service:
        yield service


@pytest.fixture(scope="session")
def edge(library: Any, llama_url: str) -> Iterator[Edge]:  # noqa: F811
    with edge_service(library, llama_url) as service:
        yield service
