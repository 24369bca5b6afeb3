"""Reports the fault table at the end of the run; `--fault-report PATH` demands every row and writes the figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import library  # noqa: F401 - a fixture
from tests.faults import report as fault_report
from tests.faults.deployment import Cloud, Edge, cloud_service, edge_service

REPORTS = pytest.StashKey[dict[str, list[pytest.TestReport]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-report", type=Path, help="fail unless every row held, and write its figures as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(number): the row of the fault table that the test shows")
    config.stash[REPORTS] = defaultdict(list)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    mark = item.get_closest_marker("fault")
    if mark is not None and (report.when == "call" or not report.passed):
        item.config.stash[REPORTS][mark.args[0]].append(report)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--fault-report", None)
    if path is None:
        return
    table = fault_report.lines(session.config.stash[REPORTS])
    fault_report.write(path, table)
    if not all(line.held for line in table):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(config: pytest.Config) -> None:
    if config.getoption("--fault-report", None) is not None:
        fault_report.show(fault_report.lines(config.stash[REPORTS]))


@pytest.fixture
def figures(record_property: Any) -> dict[str, float]:
    """What a row measured, by a name with its unit; for the report only."""
    measured: dict[str, float] = {}
    record_property(fault_report.FIGURES, measured)
    return measured


@pytest.fixture(scope="session")
def cloud(library: Any, redis: Any, mongo: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:  # noqa: F811
    with cloud_service(library, redis, mongo, tmp_path_factory.mktemp("cloud")) as service:
        yield service


@pytest.fixture(scope="session")
def edge(library: Any, llama_url: str) -> Iterator[Edge]:  # noqa: F811
    with edge_service(library, llama_url) as service:
        yield service
