"""A smoke test's report as JUnit XML, which every CI system shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from pathlib import Path

    from opsctl.smoke.run import Report


def write(report: Report, file: Path) -> None:
    """Write `report` to `file`; a check that was skipped for another's failure is none that passed.

    Raises:
        NotUsable: it can't be written.
    """
    suite = TestSuite(f"smoke-test {report.target.stack or report.target.url}")
    for outcome in report.outcomes:
        case = TestCase(outcome.name, classname="opsctl.smoke", time=outcome.elapsed_ms / 1000)
        if outcome.status == "failed":
            case.result = [Failure(outcome.summary)]
        elif outcome.status in {"skipped", "n/a"}:
            case.result = [Skipped(outcome.summary)]
        else:
            case.system_out = outcome.summary
        suite.add_testcase(case)
    document = JUnitXml()
    document.add_testsuite(suite)
    try:
        document.write(str(file), pretty=True)
    except OSError as exc:
        raise NotUsable(f"--junit {file}: {exc.strerror or exc}", next_step="give a file that can be written") from exc
